"""Data sets published with official splits: Stanford Dogs, and torchvision's whose samples are image files."""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.cache.text import show_path

from ..splits import STANFORD_2020, deal_counts
from .folder import SUFFIXES, Image, Listing, check_file, walk_images

# Our split -> torchvision's word for it; an empty word where the class takes none.
TORCHVISION: dict[str, dict[str, str]] = {
    "Flowers102": {"train": "train", "val": "val", "test": "test"},
    "OxfordIIITPet": {"train": "trainval", "test": "test"},
    "Food101": {"train": "train", "test": "test"},
    "Imagenette": {"train": "train", "val": "val"},
    "Country211": {"train": "train", "val": "valid", "test": "test"},
    "DTD": {"train": "train", "val": "val", "test": "test"},
    "EuroSAT": {"": ""},
    "FGVCAircraft": {"train": "train", "val": "val", "test": "test"},
    "RenderedSST2": {"train": "train", "val": "val", "test": "test"},
    "SUN397": {"": ""},
}
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")


def find_stanford_lists(folder: Path) -> Path | None:
    """Where Stanford Dogs' lists are, in ``lists/`` or beside ``Images/``; None if the layout is another."""
    if (folder / "Images").is_dir():
        for place in (folder / "lists", folder):
            if all((place / f"{split}_list.mat").is_file() for split in ("train", "test")):
                return place
    return None


def list_stanford(
    folder: Path, lists: Path, *, split: str = "official", seed: int = 0, follow_links: bool = False
) -> Listing:
    """Images of Stanford Dogs (Khosla et al. 2011) in its published layout.

    Parameters
    ----------
    folder : Path
        Holds ``Images/<wnid>-<Breed>/<wnid>_<n>.jpg``.
    lists : Path
        Holds ``train_list.mat`` and ``test_list.mat``.
    split : {"official", "2020"}
        The published 12,000 train / 8,580 test, or all images dealt anew, 102 train / 35 val / rest test per
        breed: the proportions of the 2020 study, whose exact lists were not published.
    seed : int
        Of the 2020 split.

    Raises
    ------
    DataError
        If a list is damaged, or names a file twice or one that is not there.
    """
    root = os.path.realpath(os.fsencode(folder))
    found: dict[bytes, str] = {}
    for name in ("train", "test"):
        file = lists / f"{name}_list.mat"
        for path in read_file_list(file):
            if path in found:
                raise DataError(f"{file} names {show_path(path)} a second time.")
            check_file(root, path, follow_links=follow_links, listed_in=str(file))
            found[path] = name
    folders = sorted({path.split(b"/")[1] for path in found})
    classes = name_breeds(folders)
    label_of = dict(zip(folders, classes, strict=True))
    labels = {path: label_of[path.split(b"/")[1]] for path in found}
    if split == "2020":
        found = deal_counts(labels, STANFORD_2020, "test", seed=seed)
    images = [Image(path, labels[path], found[path]) for path in found]
    unlisted = set(walk_images(os.path.join(root, b"Images"), follow_links=follow_links)[0])
    unlisted -= {path.removeprefix(b"Images/") for path in found}
    notes = (f"ignored {len(unlisted)} image(s) that neither list names",) if unlisted else ()
    return Listing(root, images, notes, classes)


def name_breeds(folders: Sequence[bytes]) -> tuple[str, ...]:
    """``n02086240-Shih-Tzu`` is a ``Shih-Tzu``: what follows the *first* hyphen, if that tells all apart."""
    names = [folder.decode("utf-8", "backslashreplace") for folder in folders]
    breeds = [name.partition("-")[2] for name in names]
    return tuple(breeds if all(breeds) and len(set(breeds)) == len(breeds) else names)


def read_file_list(file: Path) -> list[bytes]:
    """The ``Images/<folder>/<name>`` paths of a Stanford list, in its order.

    Raises
    ------
    DataError
        If it is not a MATLAB file with ``file_list``, or an entry is not ``<folder>/<name>``.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        cells = loadmat(file)["file_list"].ravel()
        names = [str(cell.item()) for cell in cells]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, MatReadError, zlib.error) as error:
        raise DataError(f"could not read {file} as a list of Stanford Dogs: {error}.") from error
    for name in names:
        if len(name.split("/")) != 2 or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise DataError(f"{file} names {show_path(os.fsencode(name))}; expected <folder>/<name>.jpg.")
    return [b"Images/" + os.fsencode(name) for name in names]


def list_torchvision(name: str, folder: Path) -> Listing:
    """Images of one of torchvision's data sets, downloaded by torchvision to ``<folder>/<name>``.

    Raises
    ------
    UsageError
        If `name` is not in `TORCHVISION`: its samples are arrays, or torchvision does not tell their files.
    DataError
        If the download fails, or the installed torchvision keeps the samples in another way.
    """
    if name not in TORCHVISION:
        raise UsageError(
            f"torchvision:{name} is not a data set of image files that torchvision can download; expected one of "
            f"{', '.join(TORCHVISION)}. Anything else can be given as a folder or a CSV."
        )
    root = _download_whole(name, folder)
    images: list[Image] = []
    classes: tuple[str, ...] = ()
    for split, word in TORCHVISION[name].items():
        dataset = _open_dataset(name, root, word, download=False)
        samples = read_samples(dataset, name)
        classes = classes or name_classes(dataset, samples)
        images += [Image(_relate(path, root, name), classes[label], split) for path, label in samples]
    return Listing(os.path.realpath(os.fsencode(root)), images, (), classes)


def _download_whole(name: str, folder: Path) -> Path:
    """``<folder>/<name>`` with every split unpacked; torchvision takes a half-unpacked archive for a whole one."""
    root, part = folder / name, folder / f"{name}.part"
    if not root.is_dir():
        _drop_unpacked(part)
        part.mkdir(parents=True, exist_ok=True)
        for word in TORCHVISION[name].values():
            _open_dataset(name, part, word, download=True)
        os.sync()
        part.rename(root)
    return root


def _drop_unpacked(part: Path) -> None:
    """Remove what an interrupted run unpacked; archives stay, torchvision checks their md5 before using them."""
    for where, _, files in os.walk(part, topdown=False):
        for file in files:
            if not file.endswith(_ARCHIVES):
                os.unlink(os.path.join(where, file))
        with contextlib.suppress(OSError):  # not empty: it holds an archive
            os.rmdir(where)


def _open_dataset(name: str, root: Path, word: str, *, download: bool) -> Any:
    from torchvision import datasets

    options = {"split": word} if word else {}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # its messages are no result
            return getattr(datasets, name)(root, download=download, **options)
    except (OSError, RuntimeError, ValueError, AttributeError) as error:
        raise DataError(f"torchvision could not provide {name}: {error}; run the command again.") from error


def read_samples(dataset: Any, name: str) -> list[tuple[str, int]]:
    """(file, label) of every sample, from the attributes in which torchvision's classes keep them.

    Raises
    ------
    DataError
        If there are none of these, or they hold no image files.
    """
    samples: Iterable[tuple[Any, Any]] = ()
    for attribute in ("samples", "_samples"):
        samples = samples or getattr(dataset, attribute, ())
    for attribute in ("_image_files", "_images"):
        if hasattr(dataset, attribute) and hasattr(dataset, "_labels"):
            samples = list(zip(getattr(dataset, attribute), dataset._labels, strict=True))
    found = [(os.fspath(file), int(label)) for file, label in samples if isinstance(file, str | os.PathLike)]
    if not found or not all(file.lower().endswith(tuple(s.decode() for s in SUFFIXES)) for file, _ in found):
        raise DataError(f"torchvision:{name} holds no image files this can read; give it as a folder or a CSV.")
    return found


def name_classes(dataset: Any, samples: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """The data set's class names by label; synonyms joined, the label added where a name is used twice."""
    given = getattr(dataset, "classes", None) or range(1 + max(label for _, label in samples))
    names = [", ".join(name) if isinstance(name, tuple) else str(name) for name in given]
    return tuple(f"{name} ({label})" if names.count(name) > 1 else name for label, name in enumerate(names))


def _relate(path: str, root: Path, name: str) -> bytes:
    relative = os.path.relpath(path, root)
    if relative.startswith(".."):
        raise DataError(f"torchvision:{name} keeps {path} outside {root}; give it as a folder or a CSV.")
    return os.fsencode(relative)
