"""What a page of images without labels shows: where they lie by their features, samples, what occurs twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fixgrid.cache.errors import say_command
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.shard import Status
from fixgrid.cache.text import show_path

from .drawings import Drawing
from .drawings_data import draw_sizes
from .drawings_map import draw_map
from .exhibits import HOW, TWINS_SHOWN, say_not_compared, say_twins
from .findings import MOST_COMPARED
from .map import choose_spread, map_images
from .report import TwinShot, open_page
from .shots import Album
from .twins import OpenCopies, Twin, Twins, choose_res, find_twins

_SAMPLES = 24


@dataclass(frozen=True)
class Overview:
    """What the page shows.

    Attributes
    ----------
    source, trunk : str
    images : str
        How many there are, and by what they were placed.
    drawings : dict of str to Drawing
    samples : sequence of (JPEG, path)
        Images that lie far apart.
    found_twins : str
        How many images occur twice, or why they were not looked for.
    twins : sequence of TwinShot
        The first of them.
    made : dict of str to str
        How the page was made.
    """

    source: str
    trunk: str
    images: str
    drawings: dict[str, Drawing]
    samples: Sequence[tuple[bytes, str]] = ()
    found_twins: str = ""
    twins: Sequence[TwinShot] = ()
    made: Mapping[str, str] = field(default_factory=dict)


def fill_overview(
    holdings: Holdings, album: Album, *, made: Mapping[str, str], open_copies: OpenCopies | None = None
) -> Overview:
    """All of the page, from center views at the cached resolution nearest 224 px.

    Parameters
    ----------
    holdings : Holdings
    album : Album
    made : mapping of str to str
        How it was made, as far as the command line knows.
    open_copies : callable, optional
        What compares images by their pixels.

    Raises
    ------
    CacheError
        If center views are not cached.
    """
    res, manifest = choose_res(holdings), holdings.manifest
    total = sum(map(len, manifest.splits.values()))
    placed = map_images(holdings, res)
    few = total <= MOST_COMPARED
    images = open_copies(holdings) if few and open_copies else None
    twins, unseen = find_twins(holdings, res, manifest.splits, images) if few else Twins([])
    first = next(iter(manifest.splits))
    entry, sizes = holdings.entry(first, "center", res), album.measure()
    drawings = [
        draw_map(placed, ()),
        *([draw_sizes(sizes, album.resize_side(entry.spec.view))] if len(sizes) else []),
    ]
    spread = [placed.ends[i] for i in choose_spread(placed.places, _SAMPLES)]
    shots = [(album.thumbnail(*end), show_path(manifest.splits[end[0]].paths[end[1]])) for end in spread]
    some = "placed" if len(placed.paths) == total else f"of which {len(placed.paths):,} are placed"
    kept = [holdings.entry(split, "center", res).read_status() for split in manifest.splits]
    lost = sum(int((status != Status.OK).sum()) for status in kept)
    without = f" Without features: {lost:,}." * (lost > 0)
    return Overview(
        manifest.source,
        holdings.trunk,
        f"{total:,} images without labels, {some} by {placed.how} of their features at {res} px.{without}",
        {drawing.name: drawing for drawing in drawings},
        [(jpeg, path) for jpeg, path in shots if jpeg is not None],
        say_twins(twins, total, unseen) if few else say_not_compared(),
        [_show_twin(twin, holdings, album) for twin in sorted(twins, key=lambda twin: -twin.cosine)[:TWINS_SHOWN]],
        {
            **made,
            **{
                f"images of {split}": f"{len(rows)}, rows sha256 {rows.digest}"
                for split, rows in manifest.splits.items()
            },
            "weights sha256": str(entry.spec.trunk["weights_sha256"]),
            "view": json.dumps(dict(entry.spec.view), default=str),
            "versions": json.dumps(entry.provenance.get("versions", {}), default=str),
        },
    )


def _show_twin(twin: Twin, holdings: Holdings, album: Album) -> TwinShot:
    paths = [show_path(holdings.manifest.splits[split].paths[row]) for split, row in (twin.first, twin.second)]
    ends = [
        (album.thumbnail(*end), end[0], "", path)
        for end, path in zip((twin.first, twin.second), paths, strict=True)
    ]
    return TwinShot(HOW[twin.how], twin.cosine, False, ends)


def render_overview(overview: Overview) -> str:
    """The HTML of the page, which needs nothing beside it; every name in it is escaped."""
    source = Path(__file__).with_name("overview.html.j2").read_text(encoding="utf-8")
    return open_page(source).render(r=overview, command=say_command)
