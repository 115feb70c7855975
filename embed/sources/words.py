"""What people call the splits of a data set, in names of folders and in tables alike."""

from __future__ import annotations

SPLIT_WORDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
}
"""Split to its words, in lower case; ``eval`` is what Hugging Face's datasets take it for."""

_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}


def read_split_word(text: str) -> str | None:
    """The split that a word is for, whatever its case and the blanks around it; None if it is for none.

    >>> read_split_word(" Validation ")
    'val'
    """
    return _SPLIT_OF.get(text.strip().lower())
