"""A whole run as one HTML file that needs nothing beside it. Pure: collected data in, text out."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fixgrid.cache.errors import say_command
from fixgrid.cache.text import show_path, show_text

from .answers import Answers
from .cell import Cell
from .doubtful import Doubtful
from .drawings import Drawing
from .head_table import show_figure
from .mistakes import Label, WrongAnswer
from .report_words import NAMES, WORDS, list_meanings
from .shots import Shot
from .table import explain_choice, format_estimate, label_cell, name_axes, name_cell, name_figure
from .verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Template

MOST_LISTED = 2000
"""Wrong answers on a page; the CSV beside it has all."""
_MOST_NAMED = 4


@dataclass(frozen=True)
class TwinShot:
    """Two images that are one.

    Attributes
    ----------
    how : str
        In words.
    cosine : float
        Of their features.
    conflict : bool
        Their labels differ.
    ends : sequence of (JPEG or None, split, label, path)
        The two.
    """

    how: str
    cosine: float
    conflict: bool
    ends: Sequence[tuple[bytes | None, str, str, str]]


@dataclass(frozen=True)
class Report:
    """What a report shows.

    Attributes
    ----------
    source, trunk : str
    classes : tuple of str
    verdict : Verdict
        Over all cells.
    answers : Answers
        Of the chosen cell.
    drawings : dict of str to Drawing
        By name; what could not be drawn is left out.
    mistakes, confused, examples : sequence of Shot
    found_twins : str
        How many images occur twice, or why they were not looked for.
    twins : sequence of TwinShot
        The first of them.
    made : dict of str to str
        How the report was made.
    warnings : sequence of str
        Why the figures are not to be trusted; for the top of the page.
    wrong : sequence of WrongAnswer
        All wrong answers on test, the worst first.
    doubtful : Doubtful or None
        Labels that are probably wrong; None if they were not looked for.
    files : str
        Folder of the lists and figures, beside the page.
    judges : str
        What chose and calibrated, in words.
    options : mapping of str to str
        What a command must be given to be about the same features, by its name.
    """

    source: str
    trunk: str
    classes: tuple[str, ...]
    verdict: Verdict[Cell]
    answers: Answers
    drawings: dict[str, Drawing]
    mistakes: Sequence[Shot] = ()
    confused: Sequence[Shot] = ()
    examples: Sequence[Shot] = ()
    found_twins: str = ""
    twins: Sequence[TwinShot] = ()
    made: dict[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    wrong: Sequence[WrongAnswer] = ()
    doubtful: Doubtful | None = None
    files: str = "report_files"
    judges: str = "val"
    options: Mapping[str, str] = field(default_factory=dict)

    def say_command(self, words: str) -> str:
        """What to type for a command about these features."""
        name, _, more = words.partition(" ")
        return say_command(" ".join(filter(None, [name, self.options.get(name), more])))


def open_page(source: str) -> Template:
    """A page's template: every name in it is escaped, and images are written into it."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"name": show_text, "words": _cut_words, "data": _write_data}
    return page.from_string(source)


def render_report(report: Report) -> str:
    """The HTML of a report; every name in it is escaped."""
    source = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    script = source.partition("<script>")[2].partition("</script>")[0]
    allowed = b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii")
    cells, best = report.verdict.cells, report.verdict.best
    shown = {
        "said": say_answer(best, cells),
        "sure": [
            say_ties(cells),
            *explain_choice(report.verdict),
            *say_cheaper(report.verdict, report.say_command("fit-head --prefer cheap")),
        ],
        "named": [(cell, label_cell(cell, cells)) for cell in cells],
        "told": [say_told(cell) for cell in cells],
        "grid_of": _say_alike(best, cells),
        "measure": best.measure,
        "title": best.measure.heading,
        "percent": " %" * (best.measure.unit == 100),
        "figures": [show_figure(figure) for figure in report.answers.figures.figures],
        "words": WORDS[report.answers.task],
        "sections": list_sections(report),
        "glossary": list_meanings(report.answers, report.verdict.cheapest is not None, report.judges),
        "judges": report.judges,
        "pairs_confused": _count_confused(report.answers),
        "files": report.files,
        "listed": [_list_wrong(one) for one in report.wrong[:MOST_LISTED]],
    }
    return open_page(source).render(r=report, best=best, allowed=allowed, command=report.say_command, **shown)


def _say_alike(best: Cell, cells: Sequence[Cell]) -> str:
    """Which cells the map of resolutions is of, where the table has others."""
    if len({(cell.axes, cell.family, cell.correction) for cell in cells}) == 1:
        return ""
    gap = f", gap {best.correction}" * (best.correction != "none")
    return ", of " + ", ".join(filter(None, [name_axes(best, cells), NAMES.get(best.family, best.family)])) + gap


def _count_confused(answers: Answers) -> int:
    """Pairs of classes of which one was taken for the other."""
    if answers.task not in ("multiclass", "ordinal"):
        return 0
    pairs = np.sort(np.stack([answers.y, answers.guess], 1), 1)
    return len(np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0))


def _list_wrong(one: WrongAnswer) -> dict[str, str]:
    """A wrong answer by column, as text."""
    truth, answer = map(say_label, (one.truth, one.answer))
    cells = {"file": show_path(one.path), "truth": truth, "answer": answer}
    if one.label:
        cells["wrong"] = one.label
    if one.off is not None:
        cells["off"] = f"{one.off:+.4g}"
    if one.probability is not None:
        cells["probability %"] = f"{100 * one.probability:.1f}"
        cells["of the truth %"] = "" if one.of_truth is None else f"{100 * one.of_truth:.1f}"
    return cells


def say_label(label: Label) -> str:
    """What an image is, or is said to be, in words."""
    if isinstance(label, tuple):
        return ", ".join(label) or "none"
    return label if isinstance(label, str) else f"{label:.6g}"


def _cut_words(name: str) -> list[str]:
    """Parts of a name that may each begin a line."""
    return re.split(r"(?<=[_/-])", show_text(name))


def _write_data(image: bytes, kind: str = "jpeg") -> str:
    """An image as an address."""
    return f"data:image/{kind};base64," + b64encode(image).decode("ascii")


def say_answer(best: Cell, cells: Sequence[Cell] = ()) -> str:
    """What to do, in one sentence: with which head, trained and tested at which resolutions, and how good it is."""
    gap = {"none": "", "refit": ", fitted on training images as test images are seen"}
    how = gap.get(best.correction, f", with the {best.correction} correction of features")
    features = name_axes(best, cells)
    head = NAMES.get(best.family, best.family) + (f" on {features}" if features else "")
    return f"Train {head} at {best.train_res} px and test at {best.test_res} px{how}: {say_figure(best)}."


def say_figure(best: Cell) -> str:
    """How good the chosen cell is on test."""
    figure, counted = format_estimate(best.test, best.measure), f"{len(best.row)} test {best.units}"
    if best.metric == "accuracy" and best.units == "images":
        return f"{figure} of {counted} are right"
    return f"{name_figure(best) or 'accuracy '}{figure} on {counted}"


def list_sections(report: Report) -> list[tuple[str, str]]:
    """Ids and titles of the page's sections, as far as it has them."""
    words = WORDS[report.answers.task]
    of_classes = [("classes", words["classes"])] if report.answers.figures.per_class else []
    labels = of_classes or [("numbers", "Answers")]
    return [
        ("grid", "Resolutions"),
        ("head", "The head"),
        ("cost", "Cost"),
        *labels,
        ("mistakes", "Mistakes"),
        *([("labels", "Labels to look at")] if report.doubtful else []),
        ("data", "Data"),
        ("words", "Words"),
        ("made", "How it was made"),
    ]


def say_ties(cells: Sequence[Cell]) -> str:
    """How it was chosen, and which other cells test cannot tell from it; of many, how many."""
    ties, others = [cell for cell in cells if cell.tie], len(cells) - 1
    kinds = {(cell.axes, cell.family, cell.correction) for cell in cells}
    grouped = any(cell.units == "groups" for cell in cells)
    brackets = f"Brackets hold 95 % intervals{', groups of images resampled whole' * grouped}."
    named = ", ".join(f"{cell.train_res} to {cell.test_res} px" for cell in ties)
    if not others:
        return f"No other pair was tried. {brackets}"
    if not ties:
        tied = "The other cell differs" if others == 1 else f"All {others} other cells differ"
        tied += " from it on test"
    elif len(kinds) == 1 and len(ties) <= _MOST_NAMED:
        tied = f"Test cannot tell it from {len(ties)} of {others} other cells, a tie: {named}"
    else:
        tied = f"Test cannot tell it from {len(ties)} of {others} other cells: a tie"
    told = "at 5 % for all comparisons together"
    return f"Val chose this cell. {tied} ({told}). {brackets}"


def say_cheaper(verdict: Verdict[Cell], command: str) -> list[str]:
    """Which cell costs less and is as good as far as val can tell, if there is one, and whether test agrees."""
    best, cheap = verdict.best, verdict.cheapest
    if cheap is None or cheap is best or not (cheap.cost and best.cost):
        return []
    test = "nor can test" if cheap.tie else "but test can"
    times, there = best.cost.gmac / cheap.cost.gmac, format_estimate(cheap.test, cheap.measure)
    return [
        f"For {times:.2g} times less compute: {name_cell(cheap, verdict.cells)}. Val cannot tell it from the "
        f"chosen cell, {test}: it has {there} there. To keep that head: {command}"
    ]


def say_told(cell: Cell) -> str:
    """What val and test can tell of a cell, in a word or two."""
    who = [name for name, tie in (("val", cell.val_tie), ("test", cell.tie)) if tie]
    said = "chosen" if cell.chosen else f"tie on {' and '.join(who)}" if who else ""
    return ", ".join(filter(None, [said, "cheapest tie" * (cell.cheap and not cell.chosen), "front" * cell.front]))
