"""T13: a random walk over everything that can happen to a cache, against a dictionary that knows the truth."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from stub import StubBackend
from zoo import draw_photo, encode, list_manifest

from cache.errors import CacheError, FixgridError
from cache.garbage import find_garbage, remove_garbage
from cache.health import choose_rows, compare_rows, verify_store
from cache.store import Entry, FeatureStore
from embed.recompute import recompute_rows

from .damage import damage_one
from .result import Result
from .world import VIEWS, World, fork_extraction

# Extracting and killing are what everything else is about.
STEPS = (
    *("extract", "extract", "extract", "kill", "kill"),
    *("add", "edit", "rename", "remove", "damage", "gc", "verify", "read", "read twice"),
)


class Walk:
    """One cache, one data set, and the truth by content and view."""

    def __init__(self, world: World, seed: int, result: Result) -> None:
        self.world, self.result, self.rng = world, result, np.random.default_rng(seed)
        self.cache, self.serial, self.complete = world.fresh_cache(), seed * 1000, False
        self.truth: dict[tuple[bytes, int], np.ndarray] = {}
        self.learn()

    def learn(self) -> None:
        """The data set has changed: what must its features be?"""
        self.world.manifest = list_manifest(self.world.data)
        rows = self.world.rows
        for i, view in enumerate(VIEWS):
            new = [row for row in range(len(rows)) if (rows.sha256[row].tobytes(), i) not in self.truth]
            if new:
                found = recompute_rows(str(self.world.data), rows, new, view, StubBackend(view))
                self.truth |= {(rows.sha256[row].tobytes(), i): f for row, f in zip(new, found, strict=True)}
        self.world.truth = self.truth

    def step(self, name: str) -> None:
        """One thing happens; what the cache then says is compared with the truth."""
        files = sorted(self.world.data.rglob("*.png"))
        path = files[int(self.rng.integers(len(files)))]
        self.serial += 1
        if name in ("add", "edit"):
            target = path if name == "edit" else path.with_name(f"{self.serial}.png")
            target.write_bytes(encode(draw_photo(24, 20, 10**6 + self.serial)))
        elif name == "rename":
            path.rename(path.with_name(f"{self.serial}.png"))
        elif name == "remove" and len(files) > 20:
            path.unlink()
        else:
            action = getattr(self, "do_" + name.replace(" ", "_"), None)
            if action is not None:  # a removal that would leave too few images is none
                action()
            return
        self.complete = False
        self.learn()

    def do_extract(self) -> None:
        code, _, said = fork_extraction(self.world, self.cache).finish()
        if code:
            self.result.fail(f"extract ended with {code}: {said[-300:]}", crashes=1)
        self.complete = True
        self.do_read()

    def do_kill(self) -> None:
        child = fork_extraction(self.world, self.cache)
        time.sleep(self.rng.uniform(0, 0.15))
        os.kill(child.pid, signal.SIGKILL)
        child.finish()
        self.result.count("kills")
        self.complete = False

    def do_damage(self) -> None:
        if any(self.cache.rglob("*.h5")):
            damage_one(self.cache, self.rng, int(self.rng.integers(100)))
            self.result.count("files")
            self.complete = False

    def do_gc(self) -> None:
        remove_garbage(find_garbage(FeatureStore(self.cache)))
        if self.complete:
            self.do_read()

    def do_verify(self) -> None:
        problems = verify_store(FeatureStore(self.cache))
        if self.complete and problems:
            # What damage was done before is repaired where it counts; what is left must not be an entry in use.
            mine = [entry.folder for entry in self.world.entries(self.cache)]
            if any(str(folder / "features.h5") in line for folder in mine for line in problems):
                self.result.fail(f"verify: {problems[0]}", wrong=1)
        for entry, view in zip(self.world.entries(self.cache), VIEWS, strict=True) if self.complete else ():
            self.probe(entry, view)

    def probe(self, entry: Entry, view: object) -> None:
        rows = self.world.rows
        compare_rows(
            entry,
            choose_rows(entry, 4),
            lambda entry, ids: recompute_rows(str(self.world.data), rows, ids, view, StubBackend(view)),
        )

    def do_read(self) -> None:
        try:
            wrong = self.world.count_wrong(self.cache)
        except CacheError as error:
            if self.complete:
                self.result.fail(f"a complete cache was refused: {error}", lost=1)
            return
        if wrong:
            self.result.fail(f"{wrong} rows wrong", wrong=wrong)

    def do_read_twice(self) -> None:
        if not self.complete:
            return
        readers = [entry.read_blocks(self.world.rows, 10) for entry in self.world.entries(self.cache)]
        for blocks in zip(*readers, strict=True):
            if not np.array_equal(blocks[0].row, blocks[1].row):
                self.result.fail("two readers saw different rows", wrong=1)


def run_walks(size: int) -> Result:
    """`size` steps, in walks of 50."""
    result = Result("T13 random walks against a model")
    for seed in range(max(1, size // 50)):
        with World(30) as world:
            walk = Walk(world, seed + 1, result)
            for _ in range(min(size, 50)):
                name = str(walk.rng.choice(STEPS))
                result.count("checks")
                try:
                    walk.step(name)
                except FixgridError as error:
                    result.fail(f"walk {seed}, {name}: {error}", crashes=1)
    return result


ODD_NAMES = (
    b"new\nline.png", b"\x1b[2Jclear.png", "\u202egnp.exe.png".encode(), b"\xff\xfe.png", b"x" * 250 + b".png",
    b"=cmd().png", b"<script>.png", b"'; drop.png", b" space .png", "e\u0301.png".encode(), "\u00e9.png".encode(),
    b"A.png", b"a.png", b"-rf.png", b"%s%n.png", b"con.png",
)  # fmt: skip


def run_odd_names(size: int) -> Result:
    """T15: names that terminals, tables and HDF5 trip over keep their rows; links and FIFOs do not stop a run."""
    from cache.rowsfile import list_manifests, show_path

    result = Result("T15 odd names")
    with World(8) as world:
        for i, name in enumerate(ODD_NAMES[:size]):
            (Path(os.fsdecode(os.fsencode(world.data) + b"/a/" + name))).write_bytes(
                encode(draw_photo(24, 20, 500 + i))
            )
        world.manifest = list_manifest(world.data)
        cache = world.fresh_cache()
        code, _, said = fork_extraction(world, cache).finish()
        found = world.entries(cache)[0].load(world.rows) if not code else None
        [(_, again)] = list_manifests(cache / "v1" / "data")
        for name in ODD_NAMES[:size]:
            result.count("checks")
            row = world.rows.paths.index(b"a/" + name)
            if code or found is None or row not in found.row or again.splits["train"].paths[row] != b"a/" + name:
                result.fail(f"{name!r}: {said[-200:]}", lost=1)
            if not show_path(name).isprintable():
                result.fail(f"{name!r} reaches the terminal", wrong=1)
    return result
