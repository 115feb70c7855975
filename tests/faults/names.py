"""T15: names that terminals, tables and HDF5 trip over."""

from __future__ import annotations

import os
from pathlib import Path

from zoo import draw_photo, encode, list_manifest

from fixgrid.cache.rowsfile import list_manifests
from fixgrid.cache.text import show_path

from .result import Result
from .world import World, fork_extraction

ODD_NAMES = (
    b"new\nline.png", b"\x1b[2Jclear.png", "\u202egnp.exe.png".encode(), b"\xff\xfe.png", b"x" * 250 + b".png",
    b"=cmd().png", b"<script>.png", b"'; drop.png", b" space .png", "e\u0301.png".encode(), "\u00e9.png".encode(),
    b"A.png", b"a.png", b"-rf.png", b"%s%n.png", b"con.png",
)  # fmt: skip


def run_odd_names(size: int) -> Result:
    """T15: names that terminals, tables and HDF5 trip over keep their rows; links and FIFOs do not stop a run."""
    result = Result("T15 odd names")
    with World(8) as world:
        for i, name in enumerate(ODD_NAMES[:size]):
            (Path(os.fsdecode(os.fsencode(world.data) + b"/a/" + name))).write_bytes(
                encode(draw_photo(24, 20, 500 + i))
            )
        world.manifest = list_manifest(world.data)
        cache = world.fresh_cache()
        code, _, said = fork_extraction(world, cache).finish()
        found = world.entries(cache)[0].open().load(world.rows) if not code else None
        [(_, again)] = list_manifests(cache / "v1" / "data")
        for name in ODD_NAMES[:size]:
            result.count("checks")
            row = world.rows.paths.index(b"a/" + name)
            if code or found is None or row not in found.row or again.splits["train"].paths[row] != b"a/" + name:
                result.fail(f"{name!r}: {said[-200:]}", lost=1)
            if not show_path(name).isprintable():
                result.fail(f"{name!r} reaches the terminal", wrong=1)
    return result
