"""Torchvision's data sets whose samples are image files, with their official splits."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fixgrid.cache.errors import DataError, UsageError

from .source import Asked, DataSource, Image, Listing
from .walk import SUFFIXES

PREFIX = "torchvision:"
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


class Torchvision(DataSource):
    """``torchvision:NAME``."""

    words = f"{PREFIX}NAME (such as {', '.join([*TORCHVISION][:3])})"

    def takes(self, text: str) -> bool:
        """By its prefix."""
        return text.startswith(PREFIX)

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_torchvision`."""
        return list_torchvision(text.removeprefix(PREFIX), asked.cache_dir / "torchvision")

    def is_local(self, text: str, cache_dir: Path) -> bool:
        """Whether it was unpacked whole; a name that cannot be listed is refused as `list_torchvision` does."""
        name = text.removeprefix(PREFIX)
        _expect_known(name)
        return (cache_dir / "torchvision" / name).is_dir()


def list_torchvision(name: str, folder: Path) -> Listing:
    """Images of one of torchvision's data sets, downloaded by torchvision to ``<folder>/<name>``.

    Raises
    ------
    UsageError
        If `name` is not in `TORCHVISION`: its samples are arrays, or torchvision does not tell their files.
    DataError
        If the download fails, or the installed torchvision keeps the samples in another way.
    """
    _expect_known(name)
    root = _download_whole(name, folder)
    images: list[Image] = []
    classes: tuple[str, ...] = ()
    for split, word in TORCHVISION[name].items():
        dataset = _open_dataset(name, root, word, download=False)
        samples = read_samples(dataset, name)
        classes = classes or name_classes(dataset, samples)
        images += [Image(_relate(path, root, name), classes[label], split) for path, label in samples]
    return Listing(os.path.realpath(os.fsencode(root)), images, (), classes)


def _expect_known(name: str) -> None:
    if name not in TORCHVISION:
        raise UsageError(
            f"torchvision:{name} is not a data set of image files that torchvision can download; expected one of "
            f"{', '.join(TORCHVISION)}. Anything else can be given as a folder or a table."
        )


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
        raise DataError(f"torchvision:{name} holds no image files this can read; give it as a folder or a table.")
    return found


def name_classes(dataset: Any, samples: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """The data set's class names by label; synonyms joined, the label added where a name is used twice."""
    given = getattr(dataset, "classes", None) or range(1 + max(label for _, label in samples))
    names = [", ".join(name) if isinstance(name, tuple) else str(name) for name in given]
    return tuple(f"{name} ({label})" if names.count(name) > 1 else name for label, name in enumerate(names))


def _relate(path: str, root: Path, name: str) -> bytes:
    relative = os.path.relpath(path, root)
    if relative.startswith(".."):
        raise DataError(f"torchvision:{name} keeps {path} outside {root}; give it as a folder or a table.")
    return os.fsencode(relative)
