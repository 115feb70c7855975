"""A folder as a data set: what lies under it, walked, and judged by its layout."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fixgrid.cache.errors import DataError
from fixgrid.cache.text import show_path, show_text

from .images import Image, Images
from .layouts.layout import describe_deep, judge_layout
from .layouts.places import EXPECTED, LAYOUTS, Layout
from .layouts.tree import describe_bare, grow_tree, say_folder
from .source import Asked, DataSource, Listing, expand_path
from .walk import HEIF, KINDS, OTHER, Walk, describe_passed, is_inside, walk_images

_MOST_NAMED = 3
_TABLES = (b".csv", b".tsv", b".jsonl", b".parquet")


class Folder(DataSource):
    """A folder of class folders, or of split folders that hold them."""

    words = LAYOUTS

    def takes(self, text: str) -> bool:
        """Any folder."""
        return expand_path(text).is_dir()

    def list(self, text: str, asked: Asked) -> Listing:
        """See `list_folder`."""
        return list_folder(expand_path(text), follow_links=asked.follow_links, one_class=asked.one_class)


def list_folder(folder: Path, *, follow_links: bool = False, one_class: bool = False) -> Listing:
    """Images of a folder by its layout, see `judge_layout`; without labels if none of them is in a folder.

    Notes tell what was passed over, which folders hold no images, and how names that are not plain were read.

    Raises
    ------
    DataError
        If there is no image, none in a class folder, one class alone unless ``one_class`` is enough, or the layout
        is none or several.
    """
    root = os.path.realpath(os.fsencode(folder))
    return list_walk(walk_images(root, follow_links=follow_links), root, folder, one_class=one_class)


def list_walk(walk: Walk, root: bytes, folder: os.PathLike[str], *, one_class: bool = False) -> Listing:
    """The same of what was found under a root, wherever that is; ``folder`` is what the user calls it."""
    if not walk.images:
        passed = "; ".join(describe_passed(walk.passed, hidden=True)) or "it is empty"
        raise DataError(f"found no image in {folder}: {passed}; expected {EXPECTED}.")
    layout = judge_layout(grow_tree(walk), folder)
    images = Images.gather(
        Image(path, place.label, place.split, place.group)
        for place in layout.places
        for path in place.branch.list_images()
    )
    left = [*_count_loose(walk, images, layout), *describe_bare(layout.parents, walk.passed)]
    _expect_classes(layout, walk, folder, left, one_class)
    notes = [*describe_passed(walk.passed), *_count_heif(walk), *layout.notes, *left, *describe_deep(layout.places)]
    labelled = any(place.label for place in layout.places)
    if not labelled:
        table = f"; did you mean {where}?" if (where := _find_table(walk, folder)) else ""
        notes.append(f"no labels: extract gives features; heads need class folders, or a table of classes{table}")
    return Listing(root, images, tuple(notes), task="multiclass" if labelled else "unlabelled")


def _expect_classes(
    layout: Layout, walk: Walk, folder: os.PathLike[str], left: Sequence[str], one_class: bool
) -> None:
    """Refuse a single class, and images of which none is in a class folder, with what may have been meant."""
    labels, hint = {place.label for place in layout.places}, ""
    if looks := _name_detection(walk):
        hint = f" It has {looks}, for detection or segmentation; images are classified whole here."
    if not labels:
        n = len(walk.images)
        raise DataError(f"found {n} image(s) in {folder}, none in a class folder; expected {EXPECTED}.{hint}")
    place = layout.places[0]
    where = say_folder(folder, place.branch)
    if labels == {""} and looks and len(layout.places) > 1:
        hint += f" For features without labels name one folder: --data {where}."
        raise DataError(f"found no class folder in {folder}; expected {EXPECTED}.{hint}")
    nested = not any(place.branch.images for place in layout.places)
    if len(labels) > 1 or labels == {""} or (one_class and not nested):
        return
    if table := _find_table(walk, folder):
        hint += f" Did you mean {table}?"
    elif nested and place.split:
        hint = hint or f" Class folders may lie one deeper, in {where}: move them up."
    else:
        hint += f" Did you mean {where}?" if nested else f" For features without labels: --data {where}."
    name, beside = show_text(place.label), "".join(f" ({note})" for note in left)
    raise DataError(f"found one class ({name}) in {folder}{beside}; expected at least two.{hint}")


def _find_table(walk: Walk, folder: os.PathLike[str]) -> str:
    """The uppermost table beside the images, as it can be typed; empty if there is none."""
    found = [one.path for one in walk.passed if one.why == OTHER and one.path.lower().endswith(_TABLES)]
    path = min(found, key=lambda path: (path.count(b"/"), path), default=b"")
    return show_path(os.path.join(os.fsencode(folder), path)) if path else ""


def _name_detection(walk: Walk) -> str:
    """What kind of annotations lies beside the images; empty for none that is known."""
    for one in walk.passed:
        parent, name = posixpath.split(one.path.lower())
        parent = posixpath.basename(parent)
        if one.why != OTHER:
            continue
        if name.endswith(b".json") and (b"annotation" in parent + name or name.startswith(b"instances")):
            return "COCO annotations"
        if name.endswith(b".xml") and parent.startswith((b"annotation", b"xml")):
            return "Pascal VOC annotations"
        if name.endswith(b".txt") and (parent == b"labels" or b"/labels/" in b"/" + one.path.lower()):
            return "YOLO labels"
    return ""


def _count_loose(walk: Walk, images: Images, layout: Layout) -> list[str]:
    """A note on images outside class folders, and where they are."""
    if len(images) == len(walk.images):
        return []
    taken = set(images.paths).union(*(branch.list_images() for branch in layout.aside))
    where = Counter(posixpath.dirname(path) for path in walk.images if path not in taken)
    if not where:
        return []
    named = [f"{n} in {show_path(path or b'.')}/" for path, n in where.most_common(_MOST_NAMED)]
    more = ", ..." if len(where) > _MOST_NAMED else ""
    return [f"ignored {sum(where.values())} image(s) outside a class folder: {', '.join(named)}{more}"]


def _count_heif(walk: Walk) -> list[str]:
    """A note on images of the one format that takes a package of its own to decode."""
    n = sum(path.lower().endswith(HEIF) for path in walk.images)
    if not n or find_spec("pillow_heif"):
        return []
    plain = KINDS.rpartition(" ")[0]
    return [f"{n} image(s) are .heic or .heif, not {plain}: to have them decoded, pip install pillow-heif"]


def check_file(root: bytes, path: bytes, *, follow_links: bool, listed_in: str) -> None:
    """Refuse a listed path that is missing, not a regular file, or outside `root`.

    Raises
    ------
    DataError
        Naming the file and where it is listed.
    """
    full = os.path.join(root, path)
    target = os.path.realpath(full)
    if not is_inside(target, root):
        raise DataError(f"{listed_in} names {show_path(path)}, which leads out of {show_path(root)}.")
    if target != full and not follow_links:
        raise DataError(f"{listed_in} names {show_path(path)}, a link; allow links to follow it.")
    if not os.path.exists(target):
        raise DataError(f"{listed_in} names {show_path(path)}, which is not there.")
    if not os.path.isfile(target):
        raise DataError(f"{listed_in} names {show_path(path)}, which is not a file.")
