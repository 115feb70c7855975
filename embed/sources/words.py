"""What people call the parts of a data set, in names of folders and in tables alike."""

from __future__ import annotations

import re
import unicodedata

SPLIT_WORDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
}
"""Split to its words, in lower case; ``eval`` is what Hugging Face's datasets take it for."""

_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PLURAL = re.compile(r"(?<=.)(?:set|data|images?|imgs?|split|dir|folder)$")  # trainset, testimages
_FOLD = re.compile(r"(?:k?folds?|cv|split|partition)[\W_]*(\d+)", re.IGNORECASE)
_PIECE = re.compile(r"(?:part|set|subset|batch|chunk|shard)[\W_]*\d+", re.IGNORECASE)
# Of folders, in lower case, without anything between words.
_UNLABELLED = {"pred", "predict", "prediction", "predictions", "inference", "unlabeled", "unlabelled"}
_NO_CLASS = {
    *("annotation", "annotations", "annots", "trimaps", "segmentation", "segmentations", "segmentationclass"),
    *("segmentationobject", "groundtruth", "bboxes", "xmls", "thumbs", "thumbnails", "thumbnail", "metadata"),
}
_MAYBE_NO_CLASS = {"mask", "masks", "label", "labels", "gt", "depth"}
_IMAGES = {"image", "images", "img", "imgs", "jpegimages", "photos", "pictures", "pics"}


def read_split_word(text: str) -> str | None:
    """The split that a word is for, whatever its case and the blanks around it; None if it is for none.

    >>> read_split_word(" Validation ")
    'val'
    """
    return _SPLIT_OF.get(text.strip().lower())


def read_split_name(text: str) -> str | None:
    """The split that a name tells of as one of its words; None if it tells of none, or of several.

    >>> [read_split_name(name) for name in ("seg_train", "TestSet", "train2017", "01 val", "train_val", "tram")]
    ['train', 'test', 'train', 'val', None, None]
    """
    found = {read_split_word(_PLURAL.sub("", word.lower())) for word in _WORD.findall(text)} - {None}
    return read_split_word(text) or (found.pop() if len(found) == 1 else None)


def read_fold_name(text: str) -> int | None:
    """The number of a fold of a cross-validation, ``fold_3``, ``Fold 3`` or ``cv3``; None for another name."""
    found = _FOLD.fullmatch(text.strip())
    return int(found[1]) if found else None


def is_piece(text: str) -> bool:
    """Whether a name is that of a numbered part of something, such as ``part_2``."""
    return _PIECE.fullmatch(text.strip()) is not None


def is_unlabelled(text: str) -> bool:
    """Whether a name says that its images are to be predicted, such as ``seg_pred``."""
    return any(word.lower() in _UNLABELLED for word in _WORD.findall(text))


def is_images(text: str) -> bool:
    """Whether a name says that images are inside, and nothing of which."""
    return _join(text) in _IMAGES


def is_no_class(text: str, *, beside_images: bool) -> bool:
    """Whether a name is that of what accompanies images, such as ``annotations``.

    Some may be classes as well, ``masks`` beside ``gloves``; not so beside a folder of images.
    """
    return _join(text) in (_NO_CLASS | _MAYBE_NO_CLASS if beside_images else _NO_CLASS)


def fold_name(name: str) -> str:
    """Equal for names that differ only in Unicode form, case, blanks or signs that are not seen."""
    return " ".join(
        drop_unseen(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())).split()
    )


def drop_unseen(name: str) -> str:
    """A name without signs of no width, such as joiners and marks of direction."""
    return "".join(sign for sign in name if unicodedata.category(sign) != "Cf")


def _join(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())
