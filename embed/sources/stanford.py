"""Stanford Dogs (Khosla et al. 2011): downloaded, or a folder in its published layout, with its official split."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from fixgrid.cache.errors import DataError
from fixgrid.cache.rows import split_variant
from fixgrid.cache.text import show_path

from ..dealing import STANFORD_2020, deal_counts
from .downloads import Archive, fetch_archive, unpack_tar
from .folder import check_file
from .source import Asked, DataSource, Image, Listing, Progress, expand_path
from .walk import walk_images

NAME = "stanford-dogs"
STANFORD_URL = "http://vision.stanford.edu/aditya86/ImageNetDogs/"
# As TensorFlow Datasets records them (url_checksums/stanford_dogs.txt).
STANFORD_IMAGES = Archive(
    "images.tar", 793_579_520, "a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58"
)
STANFORD_LISTS = Archive("lists.tar", 481_280, "34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c")


class StanfordDogs(DataSource):
    """The word ``stanford-dogs``, and any folder in its published layout; with ``:2020`` behind either."""

    words = f"{NAME}[:2020]"

    def takes(self, text: str) -> bool:
        """The word, or a folder with the published lists."""
        place, _ = split_variant(text)
        return place == NAME or find_stanford_lists(expand_path(place)) is not None

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_stanford`."""
        place, dealt = split_variant(text)
        if place == NAME:
            folder = download_stanford_dogs(asked.cache_dir / NAME, progress=asked.progress)
        else:
            folder = expand_path(place)
        lists = find_stanford_lists(folder)
        if lists is None:
            raise DataError(
                f"found no lists/train_list.mat and lists/test_list.mat in {folder}; remove it and run again."
            )
        return list_stanford(
            folder, lists, split=dealt[1:] or "official", seed=asked.seed, follow_links=asked.follow_links
        )

    def is_local(self, text: str, cache_dir: Path) -> bool:
        """Whether both parts are unpacked."""
        return split_variant(text)[0] != NAME or all(
            (cache_dir / NAME / part).is_dir() for part in ("lists", "Images")
        )


def download_stanford_dogs(
    folder: Path,
    *,
    base_url: str = STANFORD_URL,
    images: Archive = STANFORD_IMAGES,
    lists: Archive = STANFORD_LISTS,
    progress: Progress | None = None,
) -> Path:
    """`folder` in the published layout, ``Images/`` and ``lists/``; downloads what is missing of it.

    ``images.tar`` holds ``Images/``, ``lists.tar`` its three files without a folder. Each part appears whole or
    not at all, and its archive is removed once it is unpacked.

    Parameters
    ----------
    progress : callable, optional
        Called with (archive name, bytes done, bytes in all).

    Raises
    ------
    DataError
        If the server cannot be reached, a checksum is wrong or an archive is hostile.
    DiskError
        If there is no room.
    """
    for archive, part, inside in ((lists, "lists", ""), (images, "Images", "Images")):
        if not (folder / part).is_dir():
            tar = fetch_archive(base_url + archive.name, folder / archive.name, archive, progress=progress)
            unpack_tar(tar, folder / part, inside=inside, max_bytes=archive.size_bytes)
            tar.unlink()
    return folder


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
    unlisted = set(walk_images(os.path.join(root, b"Images"), follow_links=follow_links).images)
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
