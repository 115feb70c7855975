"""One ``extract`` into an empty cache, timed from inside: ``python -m tests.bench.pipeline READY DATA OPTIONS...``.

The file READY is made when the workers have warmed up; times are of the monotonic clock, which others read, too.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fixgrid import cli
from fixgrid.cache.view import View
from fixgrid.embed import machine
from fixgrid.embed.job import Receipt
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.run import Part
from fixgrid.embed.sizing import Sizing
from fixgrid.embed.task import Backend
from fixgrid.embed.watcher import Quiet
from fixgrid.embed.work import Pass

RUN, NOTE = machine.run_pass, Pass.note


class Stopwatch(Quiet):
    """Stands in for the run's watcher, and notes when the first and the last receipt came."""

    def __init__(self, ready: Path) -> None:
        self.ready = ready
        self.receipts: list[float] = []
        self.cpu_s = 0.0
        self.steady_from: tuple[float, float, int] | None = None
        self.figures: dict[str, Any] = {}

    def start(self, images: int, done: int, expected_s: float | None = None) -> None:
        """Nothing is cached yet."""

    def advance(self, done: int, share: float | None = None) -> None:
        """Called right after every receipt with the rows begun, those of unfinished shards included."""
        if self.receipts and self.steady_from is None:
            self.steady_from = time.monotonic(), _read_cpu_s(), done
            self.ready.touch()

    def notice(self, line: str) -> None:
        """A backend passed over, a worker replaced: goes where the command's own notices go."""
        print(line, file=sys.stderr)

    def note(self, work: Pass, receipt: Receipt) -> None:
        """In place of `Pass.note`."""
        self.receipts.append(time.monotonic())
        self.cpu_s = _read_cpu_s()
        NOTE(work, receipt)

    def run(self, parts: Sequence[Part], watcher: Any, sizing: Sizing, **settings: Any) -> Outcome:
        """In place of `run_pass`."""
        [part], opened = parts, 0.0

        def open_backends(views: Sequence[View]) -> Callable[[View], Backend]:
            nonlocal opened
            open_backend = part.open_backends(views)
            opened = time.monotonic()
            return open_backend

        began = time.monotonic()
        outcome = RUN([replace(part, open_backends=open_backends)], self, sizing, **settings)
        ended = time.monotonic()
        self.figures = {
            "images": outcome.images,
            "workers": sizing.workers,
            "whole": (began, ended),
            "export_s": opened - began,
            "first_shard_s": self.receipts[0] - opened,
            "seal_s": ended - self.receipts[-1],
            **self._find_steady(outcome.images),
            "stages_s": dict(outcome.stages),
        }
        return outcome

    def _find_steady(self, images: int) -> dict[str, Any]:
        """From the first receipt to the last: when, images, and processor seconds of the workers."""
        if self.steady_from is None or images == self.steady_from[2]:
            return {}  # one shard was all
        began, cpu_began, done = self.steady_from
        return {
            "steady": (began, self.receipts[-1]),
            "steady_images": images - done,
            "steady_cpu_s": self.cpu_s - cpu_began,
        }


def _read_cpu_s() -> float:
    """Processor seconds that the workers have used since they started."""
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main(ready: str, data: str, *options: str) -> None:
    """Run the command and print its figures in one line of JSON."""
    watch = Stopwatch(Path(ready))
    with (
        tempfile.TemporaryDirectory() as cache,
        patch.object(machine, "run_pass", watch.run),
        patch.object(Pass, "note", lambda work, receipt: watch.note(work, receipt)),
    ):
        fixed = ["--data", data, "--cache", cache, "--train-views", "0", "--device", "cpu"]
        cli.main(["extract", *fixed, *options], standalone_mode=False)
    print(json.dumps(watch.figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
