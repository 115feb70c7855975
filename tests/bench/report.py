"""Figures of several rounds to JSON and to a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any


def write_report(
    folder: Path,
    name: str,
    facts: Mapping[str, Any],
    single: Mapping[str, float],
    rounds: Sequence[Mapping[str, float]],
) -> str:
    """Write ``<name>.json`` and ``<name>.md``, and return the latter's text.

    Parameters
    ----------
    folder : Path
    name : str
    facts : mapping
        What was measured, and on what.
    single : mapping of figure to value
        Measured once.
    rounds : sequence of mappings of figure to value
        The same figures in every round: the table shows their median, lowest and highest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    medians = {figure: median(found[figure] for found in rounds) for figure in rounds[0]}
    content = {**facts, "medians": medians, "single": single, "rounds": rounds}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    lines = [*_describe(facts, len(rounds)), *_tabulate(rounds, medians), *_tabulate_single(single)]
    text = "\n".join(lines) + "\n"
    (folder / f"{name}.md").write_text(text)
    return text


def _describe(facts: Mapping[str, Any], rounds: int) -> list[str]:
    machine = facts["machine"]
    versions = ", ".join(f"{package} {number}" for package, number in machine["versions"].items())
    return [
        f"{facts['trunk']} on {facts['photographs']}, {rounds} round{'s' * (rounds > 1)}; "
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"load {machine['load_before']} before.",
        f"Python {machine['python']}, {versions}.",
        f"Fastest: {' and '.join(facts['fastest'])}.",
        "",
    ]


def _tabulate(rounds: Sequence[Mapping[str, float]], medians: Mapping[str, float]) -> list[str]:
    lines = ["| figure | median | lowest | highest |", "|---|---:|---:|---:|"]
    for figure, middle in medians.items():
        values = [found[figure] for found in rounds]
        lines.append(f"| {figure} | {_show(middle)} | {_show(min(values))} | {_show(max(values))} |")
    return lines


def _tabulate_single(single: Mapping[str, float]) -> list[str]:
    if not single:
        return []
    return [
        "",
        "| measured once | value |",
        "|---|---:|",
        *(f"| {name} | {_show(value)} |" for name, value in single.items()),
    ]


def _show(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
