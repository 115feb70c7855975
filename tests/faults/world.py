"""A small data set whose features are known, extractions of it in forked processes, and their audit.

A fork costs 10 ms where a fresh interpreter costs 400, so hundreds of kills fit into a minute. The whole engine
runs in the fork; only the worker processes are replaced by the same `run_shard` in place (real ones:
`processes.py`).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stub import TRUNK, center, run_stub, train
from zoo import list_manifest, write_photos

from fixgrid.cache import entry as entry_module
from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import FixgridError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.salvage import commit_intact
from fixgrid.cache.shard import list_shards, read_shard
from fixgrid.cache.store import FeatureStore
from fixgrid.embed import plan
from fixgrid.embed.engines.engine import ENGINES, Course
from fixgrid.embed.engines.inline import InlineEngine
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.job import Receipt, ShardJob
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.sizing import Sizing

VIEWS = (center(8), train(8))
ROWS = 96
SHARD_ROWS = 8


class Inline:
    """What `InlineEngine` does; tells `acknowledge` every receipt."""

    acknowledge = staticmethod(lambda receipt: None)

    def __init__(self, sizing: Sizing, course: Course) -> None:
        self.inside = InlineEngine(sizing, course)

    def run(self, jobs: Iterable[ShardJob], openers: Any) -> Iterator[Receipt]:
        for receipt in self.inside.run(jobs, openers):
            Inline.acknowledge(receipt)
            yield receipt


ENGINES["faults"] = f"{__name__}:Inline"


def salvage(damaged: Path, spec: Any, shards_folder: Path) -> int:
    """What `salvage_rows` does, without another process around it: this one is a fork."""
    commit_intact(damaged, spec, shards_folder)
    return sum(file.stop - file.start for file in list_shards(shards_folder))


def stay_in_process() -> None:
    """Extract without workers and in small shards from now on: whatever hits this process hits everything."""
    ENGINES["local"] = ENGINES["faults"]
    entry_module.salvage_rows = salvage
    plan.MIN_SHARD_ROWS = SHARD_ROWS
    plan.SHARDS_PER_SPLIT = ROWS // SHARD_ROWS


class World:
    """A folder of images, the features that each of them must have, and caches to break."""

    def __init__(self, rows: int = ROWS, place: Path | None = None) -> None:
        memory = Path("/dev/shm")
        place = place or (memory if os.access(memory, os.W_OK) else None)
        self.folder = Path(tempfile.mkdtemp(prefix="fixgrid-faults-", dir=place))
        self.data = self.folder / "data"
        write_photos(self.data, rows)
        self.manifest = list_manifest(self.data)
        self.truth = self.learn_truth()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *args: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def learn_truth(self) -> dict[tuple[bytes, int], np.ndarray]:
        """Features by (content, view), from an extraction that nothing disturbs."""
        extraction = self.extraction(self.fresh_cache("truth"))
        run_stub(extraction)
        return {
            (content.tobytes(), i): features
            for i, view in enumerate(VIEWS)
            for found in [extraction.entries["train", view, "pooled"].open().load(self.rows)]
            for content, features in zip(found.sha256, found.X, strict=True)
        }

    @property
    def rows(self) -> Any:
        """The rows of the only split."""
        return self.manifest.splits["train"]

    def fresh_cache(self, name: str = "cache") -> Path:
        """An empty cache folder."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.folder / name

    def extraction(self, cache: Path) -> Extraction:
        return Extraction(FeatureStore(cache), self.manifest, TRUNK, {"train": VIEWS})

    def extract(self, cache: Path) -> Outcome:
        """One whole run here; what `set_aside_damage` and resuming do is part of it."""
        return run_stub(self.extraction(cache))

    def entries(self, cache: Path) -> list[Entry]:
        return list(self.extraction(cache).entries.values())

    def count_wrong(self, cache: Path) -> int:
        """Rows of complete entries that a reader believes and that differ from the truth, or are not there."""
        return sum(self.compare(entry.open().load(self.rows), i) for i, entry in enumerate(self.entries(cache)))

    def compare(self, found: FeatureSet, view: int) -> int:
        """Rows whose features or label differ from the truth, which is NaN for an image that is none."""
        held = {int(row): (x, y) for row, x, y in zip(found.row, found.X, found.y, strict=True)}
        wrong = 0
        for row, (content, label) in enumerate(zip(self.rows.sha256, self.rows.labels, strict=True)):
            truth = self.truth[content.tobytes(), view]
            features, y = held.get(row, (np.full_like(truth, np.nan), label))
            wrong += not np.array_equal(features, truth, equal_nan=True) or y != label
        return wrong

    def count_lost(self, cache: Path, acknowledged: list[tuple[int, int]]) -> int:
        """Rows that were reported done and are not on disk, whole and right, before anything is repaired."""
        lost = 0
        for i, entry in enumerate(self.entries(cache)):
            held = np.zeros(len(self.rows), bool)
            if sealed := entry.read_seal():
                held[:] = True
                sealed.check_digest()
            for file in list_shards(entry.shards_folder):
                shard = read_shard(file, entry.spec)
                for row, features in enumerate(shard.features, shard.start):
                    truth = self.truth[self.rows.sha256[row].tobytes(), i]
                    held[row] = np.array_equal(features, truth, equal_nan=True)
            lost += sum(int((~held[start:stop]).sum()) for start, stop in acknowledged)
        return lost


@dataclass
class Child:
    """A forked extraction: its process, and the pipe on which it says what is done."""

    pid: int
    pipe: int

    def finish(self) -> tuple[int, list[tuple[int, int]], str]:
        """Exit code (negative: the signal), rows acknowledged, and the last thing it said."""
        with open(self.pipe) as pipe:
            lines = pipe.read().splitlines()
        _, status = os.waitpid(self.pid, 0)
        acknowledged = [tuple(json.loads(line)) for line in lines if line.startswith("[")]
        said = "\n".join(line for line in lines if not line.startswith("["))
        return os.waitstatus_to_exitcode(status), acknowledged, said


def fork_extraction(world: World, cache: Path, prepare: Callable[[], None] = lambda: None) -> Child:
    """Run an extraction in a fork: exit code 0, that of a `FixgridError`, or 1 and a traceback."""
    ours, theirs = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return Child(pid, ours)
    code = 1
    try:
        os.close(ours)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        def acknowledge(receipt: Receipt) -> None:
            os.write(theirs, f"[{receipt.start}, {receipt.stop}]\n".encode())

        Inline.acknowledge = staticmethod(acknowledge)
        prepare()
        os.write(theirs, f"decoded {world.extract(cache).decoded}".encode())
        code = 0
    except FixgridError as error:
        os.write(theirs, f"{error}\n".encode())
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - a fork must never return into the suite
        os.write(theirs, traceback.format_exc().encode())
    finally:
        os._exit(code)
