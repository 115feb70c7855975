"""Programs that are measured from outside: each answers in JSON, alone or taking turns with a measurement."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

SAMPLE_S = 0.1
Spell = tuple[float, float]
"""When something began and ended, seconds of the monotonic clock."""


def run_child(command: list[str], *, watched: bool = False) -> dict[str, Any]:
    """The last line that a program prints, read as JSON.

    If it is watched, which costs it some per cent of its time, ``peak_bytes`` is the largest sum over the program
    and its descendants of their proportional set sizes (a page that several share counts once).

    Raises
    ------
    RuntimeError
        If the program fails, with the end of what it wrote.
    """
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0]
    watch = Thread(target=_watch, args=(child, peak))
    if watched:
        watch.start()
    output, _ = child.communicate()
    if watched:
        watch.join()
    return {**_read_answer(child, output), **({"peak_bytes": peak[0]} if watched else {})}


def run_in_turns(
    command: list[str], ready: Path, measure: Callable[[], None], turn_s: float
) -> tuple[dict[str, Any], list[Spell]]:
    """The answer of a program that is stopped every `turn_s` for a measurement, and when it was stopped.

    A machine whose speed drifts drifts for both alike.

    Parameters
    ----------
    command : list of str
    ready : Path
        A file that the program makes when turns are to begin.
    measure : callable
        Called while every process of the program is stopped.
    turn_s : float

    Raises
    ------
    RuntimeError
        As of `run_child`.
    """
    pauses = []
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while child.poll() is None:
                time.sleep(turn_s if ready.exists() else SAMPLE_S)
                if ready.exists() and child.poll() is None:
                    os.killpg(child.pid, signal.SIGSTOP)
                    began = time.monotonic()
                    measure()
                    pauses.append((began, time.monotonic()))
                    os.killpg(child.pid, signal.SIGCONT)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
        output.seek(0)
        return _read_answer(child, output.read()), pauses


def measure_active(spell: Spell, pauses: Sequence[Spell] = ()) -> float:
    """Seconds of a spell that were no pause."""
    began, ended = spell
    return ended - began - sum(max(0, min(ended, stop) - max(began, start)) for start, stop in pauses)


def _read_answer(child: subprocess.Popen[Any], output: str) -> dict[str, Any]:
    if child.returncode:
        raise RuntimeError(f"{child.args} ended with {child.returncode}:\n{output[-2000:]}")
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    return answer


def _watch(child: subprocess.Popen[str], peak: list[int]) -> None:
    while child.poll() is None:
        peak[0] = max(peak[0], measure_family(child.pid))
        time.sleep(SAMPLE_S)


def measure_family(pid: int) -> int:
    """Bytes of a process and its descendants; those that ended meanwhile count nothing."""
    place = Path("/proc", str(pid))
    try:
        own = int((place / "smaps_rollup").read_text().partition("\nPss:")[2].split()[0]) << 10
        tasks = [(task / "children").read_text().split() for task in (place / "task").iterdir()]
    except (OSError, IndexError):
        return 0
    return own + sum(measure_family(int(child)) for task in tasks for child in task)
