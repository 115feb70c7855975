"""T13: everything that can happen to a cache, in any order, against a dictionary that knows what must come of it.

The dictionary is the data set: a file's name and its bytes. Features follow from bytes, view and weights alone, so
whatever was killed, damaged or removed before, what a reader is given can be computed here.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stub import DIM, TRUNK, StubBackend, run_stub
from zoo import draw_photo, encode, list_manifest

from fixgrid.cache.errors import CacheError, DiskError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.garbage import find_garbage, remove_garbage
from fixgrid.cache.health import choose_rows, compare_rows, verify_store
from fixgrid.cache.sealed import Sealed
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed.decode import BadImage, decode_rgb
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.recompute import recompute_rows
from fixgrid.embed.views import render_view

from .damage import damage_one
from .inject import Fault
from .result import Result
from .world import VIEWS, World, fork_extraction

Key = tuple[tuple[tuple[str, bytes], ...], int]


@cache
def draw(seed: int) -> bytes:
    """One of the few photographs there are: copies and returning contents are frequent."""
    return encode(draw_photo(24, 20, seed))


@cache
def compute_features(data: bytes, view: int) -> np.ndarray:
    """What a file's features are under weights 0: float32, shape (V, D); NaN if it is no image."""
    try:
        crops = render_view(decode_rgb(data), VIEWS[view], hashlib.sha256(data).digest())
    except BadImage:
        return np.full((VIEWS[view].count, DIM), np.nan, np.float32)
    return StubBackend(VIEWS[view])(crops)


class Weighted(StubBackend):
    """The stub under weights: each adds its number to every feature."""

    def __init__(self, view: View, weights: int) -> None:
        super().__init__(view)
        self.weights = np.float32(weights)

    def __call__(self, pixels: Any) -> Any:
        return super().__call__(pixels) + self.weights


class Scene(World):
    """A data set that is a dictionary, on disk and here, and the weights of the trunk."""

    def __init__(self) -> None:
        self.weights, self.files = 0, dict[str, bytes]()
        super().__init__(12)
        self.files = {str(path.relative_to(self.data)): path.read_bytes() for path in self.data.rglob("*.png")}

    def learn_truth(self) -> Any:
        """By content and view, under the weights of the moment."""
        scene = self

        class Truth:
            def __getitem__(self, place: tuple[bytes, int]) -> np.ndarray:
                known = {hashlib.sha256(data).digest(): data for data in scene.files.values()}
                return compute_features(known[place[0]], place[1]) + np.float32(scene.weights)

        return Truth()

    def put(self, name: str, data: bytes) -> None:
        (self.data / name).write_bytes(data)
        self.files[name] = data

    def take(self, name: str) -> bytes:
        (self.data / name).unlink()
        return self.files.pop(name)

    @property
    def key(self) -> Key:
        """What an extraction is of."""
        return tuple(sorted(self.files.items())), self.weights

    def open_backends(self, views: object) -> Any:
        weights = self.weights
        return lambda view: Weighted(view, weights)

    def extraction(self, cache: Path) -> Extraction:
        self.manifest = list_manifest(self.data)
        trunk = replace(TRUNK, weights_sha256=f"{self.weights:064x}")
        return Extraction(FeatureStore(cache), self.manifest, trunk, {"train": VIEWS})

    def extract(self, cache: Path) -> Outcome:
        return run_stub(self.extraction(cache), self.open_backends, max_bad=1.0)


PICK = st.integers(0, 999)
PHOTOS = st.builds(draw, st.integers(0, 9))


class CacheMachine(RuleBasedStateMachine):
    """One cache and one data set; `result` counts over all of them."""

    result = Result("T13 state machine against a dictionary")

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.cache = self.scene.fresh_cache()
        # Keys whose features the cache holds for certain, each with the contents that it holds features of.
        self.sealed: dict[Key, set[bytes]] = {}
        # The data set of the newest record, if no kill or damage leaves that open.
        self.recorded: object = None
        # Whether `sealed` is all that the cache holds.
        self.exact = True
        self.readers: list[tuple[Iterator[FeatureSet], list[np.ndarray]]] = []

    def teardown(self) -> None:
        for blocks, _ in self.readers:
            blocks.close()
        self.scene.__exit__()

    def pick(self, n: int) -> str:
        names = sorted(self.scene.files)
        return names[n % len(names)]

    @property
    def is_complete(self) -> bool:
        return self.scene.key in self.sealed

    @rule(n=PICK, data=PHOTOS)
    def add_image(self, n: int, data: bytes) -> None:
        self.scene.put(f"{'ab'[n % 2]}/{n % 40:02d}.png", data)

    @rule(n=PICK, data=PHOTOS)
    def edit_image(self, n: int, data: bytes) -> None:
        self.scene.put(self.pick(n), data)

    @rule(n=PICK, keep=st.integers(0, 9))
    def corrupt_image(self, n: int, keep: int) -> None:
        data = self.scene.files[self.pick(n)]
        self.scene.put(self.pick(n), data[: len(data) * keep // 10])

    @rule(n=PICK, to=PICK)
    def rename_image(self, n: int, to: int) -> None:
        data = self.scene.take(self.pick(n))
        self.scene.put(f"{'ab'[to % 2]}/{to % 40:02d}.png", data)

    @precondition(lambda self: len(self.scene.files) > 3)
    @rule(n=PICK)
    def remove_image(self, n: int) -> None:
        self.scene.take(self.pick(n))

    @rule(weights=st.integers(0, 2))
    def change_weights(self, weights: int) -> None:
        self.scene.weights = weights

    @rule()
    def extract(self) -> None:
        """Every row is right, and nothing is decoded whose features were there."""
        code, _, said = fork_extraction(self.scene, self.cache).finish()
        assert code == 0, f"extract ended with {code}: {said[-300:]}"
        files = self.scene.files.values()
        good = [data for data in files if np.isfinite(compute_features(data, 0)).all()]
        weights = self.scene.weights
        known = set().union(*(held for (_, other), held in self.sealed.items() if other == weights))
        new = 0 if self.is_complete else sum(data not in known for data in good)
        decoded = int(said.removeprefix("decoded "))
        assert decoded == new if self.exact else decoded <= new, f"{decoded} images decoded, expected {new}"
        self.sealed[self.scene.key], self.recorded = set(good), self.scene.key[0]
        self.read()
        self.verify()

    @rule(operation=st.sampled_from(("write", "fsync", "replace", "unlink")), k=st.integers(1, 60))
    def kill(self, operation: str, k: int) -> None:
        self.interrupt(Fault(operation, k, None), -9)
        self.result.count("kills")

    @rule(
        operation=st.sampled_from(("write", "fsync", "replace", "mkdir")),
        k=st.integers(1, 60),
        code=st.sampled_from((errno.EIO, errno.ENOSPC)),
        for_good=st.booleans(),
    )
    def refuse(self, operation: str, k: int, code: int, for_good: bool) -> None:
        self.interrupt(Fault(operation, k, code, for_good=for_good), DiskError.exit_code)
        self.result.count("errors")

    def interrupt(self, fault: Fault, code: int) -> None:
        """An extraction that a fault may end: what it said is done is on the disk."""
        ended, acknowledged, said = fork_extraction(self.scene, self.cache, fault.install).finish()
        assert ended in (0, code), f"{fault.operation}: ended with {ended}: {said[-300:]}"
        lost = self.scene.count_lost(self.cache, acknowledged)
        assert not lost, f"{lost} rows lost"
        self.recorded, self.exact = None, False

    @precondition(lambda self: not self.readers and any(self.cache.rglob("*.h5")))
    @rule(seed=st.integers(0, 2**32), how=st.integers(0, 55))
    def damage_cache(self, seed: int, how: int) -> None:
        damage_one(self.cache, np.random.default_rng(seed), how)
        self.result.count("files")
        self.sealed, self.recorded, self.exact = {}, None, False

    @rule()
    def collect_garbage(self) -> None:
        remove_garbage(find_garbage(FeatureStore(self.cache)))
        if self.recorded is None:
            self.sealed, self.exact = {}, False
        self.sealed = {key: held for key, held in self.sealed.items() if key[0] == self.recorded}

    @rule()
    def verify(self) -> None:
        problems = verify_store(FeatureStore(self.cache))
        assert not (problems and self.exact), problems
        if self.is_complete:
            mine = self.scene.entries(self.cache)
            found = [line for line in problems if any(str(entry.folder) in line for entry in mine)]
            assert not found, found

    @precondition(lambda self: self.is_complete)
    @rule(count=st.integers(1, 6))
    def compute_again(self, count: int) -> None:
        rows = self.scene.rows
        for entry, view in zip(self.scene.entries(self.cache), VIEWS, strict=True):

            def recompute(sealed: Sealed, ids: Any, view: View = view) -> np.ndarray:
                return recompute_rows(str(self.scene.data), rows, ids, view, Weighted(view, self.scene.weights))

            sealed = entry.open()
            compare_rows(sealed, choose_rows(sealed, count), recompute)

    @rule()
    def read(self) -> None:
        """Right or refused; refused only where something is missing."""
        try:
            wrong = self.scene.count_wrong(self.cache)
        except CacheError:
            assert not self.is_complete, "complete features were refused"
            return
        assert not wrong, f"{wrong} rows silently wrong"

    @precondition(lambda self: self.is_complete and len(self.readers) < 2)
    @rule(block=st.integers(1, 9))
    def open_reader(self, block: int) -> None:
        """One of two readers, which reads on whatever happens to the cache meanwhile."""
        rows = self.scene.rows
        truth = [self.scene.truth[content.tobytes(), 0] for content in rows.sha256]
        expected = [features for features in truth if np.isfinite(features).all()]
        blocks = self.scene.entries(self.cache)[0].open().read_blocks(rows, block)
        first = next(blocks).X
        assert all(map(np.array_equal, first, expected))
        self.readers.append((blocks, expected[len(first) :]))

    @precondition(lambda self: self.readers)
    @rule()
    def read_on(self) -> None:
        blocks, expected = self.readers.pop(0)
        found = [features for block in blocks for features in block.X]
        assert len(found) == len(expected)
        assert all(map(np.array_equal, found, expected)), "a reader was given other rows than it began with"

    @invariant()
    def count_steps(self) -> None:
        self.result.count("checks")


def run_state_machine(size: int) -> Result:
    """`size` runs of the machine; the few of the short form are always the same."""
    result = CacheMachine.result = Result(CacheMachine.result.suite)
    few = size < 20
    options = settings(
        max_examples=size,
        stateful_step_count=20 if few else 40,
        derandomize=few,
        database=None,
        deadline=None,
        print_blob=not few,
        phases=(Phase.generate,) if few else (Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(CacheMachine, settings=options)
    except Exception as error:  # noqa: BLE001 - whatever the machine found is a row of the table
        result.fail(f"{error!r} {' '.join(getattr(error, '__notes__', ()))}"[:3000], wrong=1)
    return result
