"""What actors of a Ray cluster of this machine cost beside its own workers: throughput, and time per shard.

Run from the project's root: python -m tests.bench ray [--data DIR] [--quick]. Writes ray.json. The engines take
turns, and ratios are taken within a round, for a machine's speed drifts. What workers take to start is left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import fixgrid
from fixgrid.cache.entry import Entry
from fixgrid.cache.key import Spec
from fixgrid.embed import work
from fixgrid.embed.engines.engine import Course, open_engine
from fixgrid.embed.job import Receipt, ShardJob
from fixgrid.embed.plan import Goal, plan_jobs
from fixgrid.embed.sizing import Sizing
from tests.entries import make_spec
from tests.stub import DIM, center, open_stub
from tests.zoo import list_rows, write_photos

from .facts import count_cores, describe_machine
from .photos import lay_out, list_photos

TRUNK, RES, IMAGES, ROUNDS, SHARDS = "efficientnet_lite0", 224, 1400, 5, 400
ENGINES = ("local", "ray")


class Answered(NamedTuple):
    """When a receipt came, monotonic s; its rows; seconds of one worker in it."""

    at: float
    rows: int
    worked_s: float

    @classmethod
    def read(cls, receipt: Receipt) -> Answered:
        """Of now."""
        return cls(time.monotonic(), receipt.stop - receipt.start, sum(receipt.seconds.values()))


def main(out: Path, *, data: Path | None = None, quick: bool = False) -> None:
    """Measure and write what was found."""
    out.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"machine": describe_machine()}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        record["data"], photos = list_photos(data, folder)
        place = lay_out(photos, 300 if quick else IMAGES, folder / "photos")
        rounds = [
            {engine: measure_rate(place, folder / f"{turn}-{engine}", engine) for engine in ENGINES}
            for turn in range(1 if quick else ROUNDS)
        ]
        record["images/s"] = rounds
        record["ray over local"] = [round(one["ray"] / one["local"], 4) for one in rounds]
        record["ray over local, median"] = median(record["ray over local"])
        write_photos(folder / "tiny", SHARDS)
        record["ms a shard beside its work"] = {
            engine: measure_shard_ms(folder / "tiny", folder / f"shards-{engine}", engine) for engine in ENGINES
        }
    (out / "ray.json").write_text(json.dumps(record, indent=1))
    print(json.dumps(record, indent=1))


def measure_rate(data: Path, cache: Path, engine: str) -> float:
    """Images/s of an extraction by one worker a core, from when they begin, on the average, to the last receipt."""
    cores = count_cores()
    with note_receipts() as answers:
        fixgrid.extract(data, trunk=TRUNK, res=RES, train_views=0, engine=engine, workers=cores, cache=cache)
    begins = sorted(answer.at - answer.worked_s for answer in answers)[:cores]
    return sum(answer.rows for answer in answers) / (answers[-1].at - mean(begins))


@contextmanager
def note_receipts() -> Iterator[list[Answered]]:
    """What receipts a run gets, and when."""
    answers: list[Answered] = []
    note = work.Pass.note

    def listen(self: work.Pass, receipt: Receipt) -> None:
        answers.append(Answered.read(receipt))
        note(self, receipt)

    work.Pass.note = listen  # type: ignore[method-assign]
    try:
        yield answers
    finally:
        work.Pass.note = note  # type: ignore[method-assign]


def measure_shard_ms(data: Path, folder: Path, engine: str) -> float:
    """Milliseconds from receipt to receipt of one worker's shards of one small image, less its own work."""
    rows, view = list_rows(data), center()
    spec: Spec = make_spec(rows, **{**view.to_spec(), "dim": DIM})
    entry = Entry(folder, spec)
    entry.create(rows)
    jobs = [one for job in plan_jobs([Goal("train", rows, view, entry, entry.find_missing())], str(data))
            for one in cut_job(job)]  # fmt: skip
    hands = open_engine(engine, Sizing(1, 1, 0), Course())
    answers = [Answered.read(receipt) for receipt in hands.run(jobs, {0: open_stub})]
    spent = answers[-1].at - answers[0].at - sum(answer.worked_s for answer in answers[1:])
    return round(1e3 * spent / (len(answers) - 1), 2)


def cut_job(job: ShardJob) -> Iterator[ShardJob]:
    """A job as jobs of one row each."""
    while job.paths:
        yield replace(job, paths=job.paths[:1], sha256=job.sha256[:1])
        job = job.after(job.start + 1)
