"""How a data set differs by now from what the cache has of it: listed again and stat'ed, no image is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from fixgrid.cache.datasets import find_limit, find_place, is_table
from fixgrid.cache.errors import FixgridError
from fixgrid.cache.rows import CONTAINED, Manifest, split_variant
from fixgrid.cache.strings import Strings

from .hashes import Memo, name_memo, read_memo
from .manifest import list_source
from .sources.catalogue import open_content
from .sources.reading import Reading
from .sources.remote.address import NAME
from .sources.source import Asked, Image, Label, Listing

_WORDS = {"new": "new", "removed": "gone", "edited": "edited, it seems", "relabelled": "of another class or split"}


@dataclass(frozen=True)
class Changes:
    """Numbers of images.

    Attributes
    ----------
    new, removed : int
        That are there alone, or in the cache alone.
    edited : int
        Whose size or times are others than when they were hashed.
    relabelled : int
        With another class now, or in another split that the source gives.
    problem : str
        Why it cannot be listed any more; empty if it can.
    """

    new: int = 0
    removed: int = 0
    edited: int = 0
    relabelled: int = 0
    problem: str = ""

    def describe(self) -> str:
        """All that there is, in words; empty if nothing changed."""
        counts = {name: n for name, n in asdict(self).items() if name in _WORDS and n}
        return self.problem or ", ".join(f"{n} {_WORDS[name]}" for name, n in counts.items())


class _Row(NamedTuple):
    """What the cache has of an image."""

    split: str
    label: Label
    size: int
    sha256: bytes


def find_changes(manifest: Manifest, cache_dir: Path) -> Changes:
    """What changed in a folder or CSV since it was extracted; nothing of other sources, or of one that is gone.

    Nothing is downloaded, dealt or written. An image whose hash is remembered is known by its size and times, any
    other by its size alone.

    Parameters
    ----------
    manifest : Manifest
        As the cache has it.
    cache_dir : Path
        Whose hashes are remembered.
    """
    place = find_place(manifest)
    if manifest.root.startswith((f"{NAME}:", f"{CONTAINED}:")):  # these take long to list
        return Changes()
    if not os.path.exists(split_variant(place)[0]):
        return Changes()
    rows = _list_rows(manifest)
    try:
        listing = _list_again(place, manifest, rows, cache_dir)
    except FixgridError as error:
        return Changes(problem=f"it cannot be listed any more: {error}")
    images = {image.path: image for image in listing.images}
    common = rows.keys() & images.keys()
    memo = read_memo(name_memo(os.fsencode(manifest.root), cache_dir / "hashes"))
    given = {image.split for image in listing.images}
    limited = bool(find_limit(manifest)[1])  # the images that it left out are not new
    return Changes(
        0 if limited else len(images) - len(common),
        len(rows) - len(common),
        _count_edited(manifest.root, {path: rows[path] for path in common}, memo),
        sum(_is_relabelled(rows[path], images[path], given) for path in common),
    )


def _list_rows(manifest: Manifest) -> dict[bytes, _Row]:
    return {
        path: _Row(split, label, size, content.tobytes())
        for split, rows in manifest.splits.items()
        for path, label, size, content in zip(
            rows.paths, manifest.name_labels(split), rows.sizes.tolist(), rows.sha256, strict=True
        )
    }


def _list_again(place: str, manifest: Manifest, rows: Mapping[bytes, _Row], cache_dir: Path) -> Listing:
    """The listing as it was asked for; with links followed if images that were listed are reached by them alone."""
    options = list(manifest.options)
    seed = int(options[options.index("--seed") + 1]) if "--seed" in options else 0
    reading = Reading.recall(options)
    for follow in (False, True):
        followed = follow or "--follow-links" in options or is_table(place)
        listing = list_source(place, Asked(cache_dir, seed, follow_links=followed, reading=reading))
        root, listed = os.fsencode(manifest.root), {image.path for image in listing.images}
        if followed or not any(os.path.exists(os.path.join(root, path)) for path in rows if path not in listed):
            break
    return listing


def _count_edited(root: str, rows: Mapping[bytes, _Row], memo: Memo) -> int:
    images, edited = open_content(root), 0
    known = memo.paths.find(Strings.gather(rows)).tolist()
    for (path, row), at in zip(rows.items(), known, strict=True):
        try:
            stamp = images.stamp(path)
        except OSError:  # taken away just now
            continue
        # An inode is another on another machine. What was hashed since, by whatever command, may be another image.
        same = at < 0 or (
            tuple(memo.stamps[at, :3].tolist()) == stamp[:3] and memo.sha256[at].tobytes() == row.sha256
        )
        edited += stamp[0] != row.size or not same
    return edited


def _is_relabelled(row: _Row, image: Image, given: set[str]) -> bool:
    dealt = not image.split or (image.split == "train" and row.split not in given)
    return row.label != image.label or not (dealt or row.split == image.split)
