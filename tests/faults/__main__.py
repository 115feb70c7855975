"""``python -m tests.faults [--short] [SUITE...]``: every suite, one table, exit code 1 if anything went wrong."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from . import classes, crowd, damage, disks, guards, hostile, kills, model, names, processes, replay
from .result import Result
from .world import stay_in_process

# (suite, size at full, size in short).
SUITES: dict[str, tuple[Callable[[int], Result], int, int]] = {
    "T1": (kills.run_random_kills, 300, 20),
    "T2": (kills.run_kth_operation, 480, 24),
    "T3": (replay.run_power_losses, 300, 30),
    "T4": (disks.run_full_disk, 100, 6),
    "T4m": (disks.run_small_disks, 100, 4),
    "T5": (kills.run_racing_writers, 30, 2),
    "T6": (damage.run_damaged_caches, 2000, 60),
    "T7": (damage.run_changed_data, 16, 8),
    "T8": (damage.run_misordered_rows, 120, 12),
    "T9": (damage.run_mutated_images, 1200, 120),
    "T10": (processes.run_broken_workers, 20, 2),
    "T10m": (processes.run_scarce_memory, 8, 3),
    "T11": (kills.run_signals, 90, 6),
    "T12": (hostile.run_attacks, 1000, 1000),
    "T13": (model.run_state_machine, 60, 8),
    "T15": (names.run_odd_names, 100, 100),
    "T15k": (classes.run_many_classes, 21843, 5000),
    "T17": (crowd.run_crowd, 8, 1),
    "T16": (guards.run_missing_guards, 100, 0),
}
KINDS = ("kills", "errors", "files", "attacks", "checks")
ROW = "{:42} {:>6} {:>6} {:>6} {:>7} {:>6} {:>8} {:>5} {:>6} {:>7} {:>6}  {}"


def run_suites(names: Sequence[str], *, short: bool) -> list[Result]:
    """Run suites and print their rows as they end."""
    print(ROW.format("suite", *KINDS, "survived", "lost", "wrong", "crashes", "s", "the same to plain h5py"))
    results = []
    for name in names:
        run, full, few = SUITES[name]
        began = time.monotonic()
        result = run(few if short else full)
        numbers = [result.injected.get(kind, 0) or "" for kind in KINDS]
        spent = f"{time.monotonic() - began:.0f}"
        ends = (result.survived, result.lost, result.wrong, result.crashes, spent, result.control)
        print(ROW.format(result.suite, *numbers, *ends), flush=True)
        for line in result.failures[:5]:
            print(f"    {line}")
        results.append(result)
    return results


def main(arguments: Sequence[str]) -> int:
    """The table and its last line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Inject faults; count losses.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"all if not given: {', '.join(SUITES)}")
    parser.add_argument("--short", action="store_true", help="a few faults of each suite")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.suites if name not in SUITES]:
        parser.error(f"found {' '.join(unknown)}; expected some of {', '.join(SUITES)}")
    names = options.suites or list(SUITES)
    stay_in_process()
    results = run_suites([name for name in names if SUITES[name][2] or not options.short], short=options.short)
    total = {kind: sum(result.injected.get(kind, 0) for result in results) for kind in KINDS}
    ends = [sum(getattr(result, end) for result in results) for end in ("lost", "wrong", "crashes")]
    print(
        f"{total['kills']} kills, {total['errors']} I/O errors, {total['files']} corrupted files, "
        f"{total['attacks']} attacks: {ends[0]} rows lost, {ends[1]} rows silently wrong, {ends[2]} crashes"
    )
    return 0 if all(result.is_clean for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
