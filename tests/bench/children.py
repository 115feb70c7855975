"""Programs that are measured from outside: each runs alone, answers in JSON, and its memory is watched."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from threading import Thread
from typing import Any

SAMPLE_S = 0.1


def run_child(command: list[str], *, watched: bool = False) -> dict[str, Any]:
    """The last line that a program prints, read as JSON, with its ``command_s``.

    If it is watched, which costs it some per cent of its time, ``peak_bytes`` is the largest sum over the program
    and its descendants of their proportional set sizes (a page that several share counts once).

    Raises
    ------
    RuntimeError
        If the program fails, with the end of what it wrote.
    """
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0]
    watch = Thread(target=_watch, args=(child, peak))
    if watched:
        watch.start()
    output, _ = child.communicate()
    if watched:
        watch.join()
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{output[-2000:]}")
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    return {**answer, **({"peak_bytes": peak[0]} if watched else {}), "command_s": time.perf_counter() - began}


def _watch(child: subprocess.Popen[str], peak: list[int]) -> None:
    while child.poll() is None:
        peak[0] = max(peak[0], _sum_pss(child.pid))
        time.sleep(SAMPLE_S)


def _sum_pss(pid: int) -> int:
    """Bytes of a process and its descendants; those that ended meanwhile count nothing."""
    place = Path("/proc", str(pid))
    try:
        own = int((place / "smaps_rollup").read_text().partition("\nPss:")[2].split()[0]) << 10
        tasks = [(task / "children").read_text().split() for task in (place / "task").iterdir()]
    except (OSError, IndexError):
        return 0
    return own + sum(_sum_pss(int(child)) for task in tasks for child in task)
