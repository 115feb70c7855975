"""Compare images with cached ones: which are most alike, by their features, without a head or a label."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .asking import takes
from .cache.features import FeatureSet
from .cache.lookup import Row, find_content, find_path, read_rows
from .cache.rows import Manifest, Rows
from .cache.shard import Status
from .embed.listing import SPLIT, hash_listing, list_images
from .embed.outcome import Outcome
from .embed.sizing import Machine
from .embed.trunks.files import is_file
from .feature_requests import Chosen, NearestRequest
from .freshness import say_changes
from .heads.neighbours import CELLS, Alike, find_neighbours, format_alike, name_neighbours
from .recording import records
from .seeing import Replica, list_statuses

VIEW = "center"
"""Kind of view that images are compared in."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """Images and the cached ones most alike to each.

    Attributes
    ----------
    found : list of Alike
        One per image: files in the order in which they were named, then paths of the data set.
    outcome : Outcome
        What computing features took.
    seen : tuple of bytes
        The images that it is of, as they were named: those whose features the data set does not have.
    """

    found: list[Alike]
    outcome: Outcome
    seen: tuple[bytes, ...]

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_alike(self.found, style)


@dataclass
class _Image:
    """An image to compare: its name as typed, the row that has its features, and whether it is that very file."""

    name: bytes
    row: Row | None = None
    itself: bool = False
    status: str = "ok"
    features: NDArray[np.float32] | None = field(default=None, repr=False)


def _summarise(found: Nearest) -> dict[str, Any]:
    return {"images": len(found.found), "decoded": found.outcome.decoded, "bad": len(found.outcome.bad)}


@takes(NearestRequest)
@records(_summarise)
def nearest(request: NearestRequest) -> Nearest:
    """The cached images most alike to others, by the cosine of their features in center views.

    Exact, in flat memory, without a head and without labels. An image of the data set, known by its path or its
    content, needs no trunk; any other is seen as the data set was, and kept beside what `fixgrid.predict` sees.

    Raises
    ------
    FixgridError
        If the cache lacks what is asked for, or the trunk or an image cannot be used. Images that cannot be decoded
        are in the outcome.
    """
    chosen = request.choose(VIEW)
    manifest = chosen.holdings.manifest
    say_changes(chosen.holdings, request.folder, request.watcher)
    given = [request.images] if isinstance(request.images, str | Path) else request.images
    typed = list(dict.fromkeys(map(os.fsencode, given)))
    paths = {name: os.path.expanduser(name) for name in typed}
    # Features outlive their images: a path of the data set needs no file, and a file that is there is read.
    rows = {name: find_path(manifest, path) for name, path in paths.items() if not os.path.lexists(path)}
    files = [name for name in typed if rows.get(name) is None]
    images, outcome, seen = _see_files(request, chosen, files) if files else ([], Outcome(), ())
    images += [_Image(name, row, itself=True) for name, row in rows.items() if row is not None]
    _recall(chosen, images)
    request.watcher.phase("comparing images")
    found = _compare(chosen, [image for image in images if image.features is not None], request.top)
    return Nearest([found.get(id(one), Alike(one.name, one.status)) for one in images], outcome, seen)


def _see_files(
    request: NearestRequest, chosen: Chosen, files: Sequence[bytes]
) -> tuple[list[_Image], Outcome, tuple[bytes, ...]]:
    """The images that files are; those whose content the data set does not have get features, and are named."""
    folder, watcher = request.folder, request.watcher
    named = list_images(files, follow_links=request.follow_links)
    called = shlex.join(map(os.fsdecode, files))
    manifest, notes = hash_listing(named, called, memo_folder=folder / "hashes", progress=watcher.show_hashed)
    for note in (*named.notes, *notes):
        watcher.notice(f"note: {note}")
    rows = manifest.splits[SPLIT]
    images = _match(chosen, manifest.root, rows, named.names)
    new = np.flatnonzero([image.row is None for image in images])
    if not len(new):
        return images, Outcome(), ()
    entry = chosen.holdings.entry(*chosen.places[0])
    own = request.trunk if isinstance(request.trunk, str) and is_file(request.trunk) else None
    machine = Machine(request.backend, request.device, str(request.workers), request.engine)
    replica = Replica(entry.describe_trunk(), [entry.spec.view], own, request.weights, folder, machine, watcher)
    extraction, outcome = replica.see(Manifest(called, manifest.root, (), {SPLIT: rows.take(new)}))
    unseen = [images[i] for i in new.tolist()]
    for image, status in zip(unseen, list_statuses(extraction), strict=True):
        image.status = status
    for block in replica.read(extraction)[0]:
        for row, x in zip(block.row.tolist(), block.X[:, 0], strict=True):
            unseen[row].features = x.copy()
    return images, outcome, tuple(image.name for image in unseen)


def _match(chosen: Chosen, root: str, rows: Rows, names: Sequence[bytes]) -> list[_Image]:
    """The images of files, with the row of the data set that each is, or else one of the same content."""
    manifest, (_, kind, res) = chosen.holdings.manifest, chosen.places[0]
    held = [split for split in manifest.splits if (split, kind, res) in chosen.holdings.entries]
    images = []
    for path, name, same in zip(rows.paths, names, find_content(manifest, held, rows.sha256), strict=True):
        file = os.path.join(os.fsencode(root), path)
        mine = [row for row in same if os.path.realpath(_name_file(manifest, row)) == file]
        images.append(_Image(name, next(iter(mine or same), None), itself=bool(mine)))
    return images


def _name_file(manifest: Manifest, row: Row) -> bytes:
    split, i = row
    return os.path.join(os.fsencode(manifest.place), manifest.splits[split].paths[i])


def _recall(chosen: Chosen, images: Sequence[_Image]) -> None:
    """Give the images that are rows of the data set their features, or say why there are none."""
    _, kind, res = chosen.places[0]
    rows = [(image, *image.row) for image in images if image.row is not None]
    for split in dict.fromkeys(split for _, split, _ in rows):
        entry = chosen.holdings.entry(split, kind, res)
        mine = [(image, row) for image, name, row in rows if name == split]
        found = read_rows(entry, chosen.holdings.manifest.splits[split], {row for _, row in mine})
        status = entry.read_status()
        for image, row in mine:
            image.status = Status(int(status[row])).name.lower()
            image.features = found[row][0] if row in found else None


def _compare(chosen: Chosen, images: Sequence[_Image], top: int) -> dict[int, Alike]:
    """The answer for each image that has features, by its identity."""
    if not images:
        return {}
    X = np.stack([x for image in images if (x := image.features) is not None])
    held = ((split, _read_blocks(chosen, split, len(X))) for split, _, _ in chosen.places)
    found = find_neighbours(X, held, top, [image.row if image.itself else None for image in images])
    manifest = chosen.holdings.manifest
    named = zip(images, (name_neighbours(lists, manifest) for lists in found), strict=True)
    return {id(image): Alike(image.name, image.status, neighbours) for image, neighbours in named}


def _read_blocks(chosen: Chosen, split: str, n: int) -> Iterator[FeatureSet]:
    """Blocks whose features, and whose cosines to ``n`` images, are no more than `CELLS`."""
    _, kind, res = chosen.places[0]
    entry = chosen.holdings.entry(split, kind, res)
    return entry.read_blocks(chosen.holdings.manifest.splits[split], max(1, CELLS // max(n, entry.spec.dim)))
