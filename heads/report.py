"""A whole run as one HTML file that needs nothing beside it. Pure: collected data in, text out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .answers import Answers
from .drawings import Drawing, show_name
from .grid import Cell
from .table import format_estimate


@dataclass(frozen=True)
class Shot:
    """A photograph with what is to be said of it: its class, what it was taken for, and how surely, in [0, 1]."""

    jpeg: bytes
    label: str
    guess: str
    confidence: float


@dataclass(frozen=True)
class Report:
    """What a report shows.

    Attributes
    ----------
    source, trunk : str
    classes : tuple of str
    cells : sequence of Cell
        One of them chosen.
    answers : Answers
        Of the chosen cell.
    drawings : dict of str to Drawing
        By name; what could not be drawn is left out.
    mistakes, confused : sequence of Shot
    copies : sequence of str
        What was found of files that occur more than once.
    made : dict of str to str
        How the report was made.
    warning : str
        About leaked labels; empty if there is none.
    """

    source: str
    trunk: str
    classes: tuple[str, ...]
    cells: Sequence[Cell]
    answers: Answers
    drawings: dict[str, Drawing]
    mistakes: Sequence[Shot] = ()
    confused: Sequence[Shot] = ()
    copies: Sequence[str] = ()
    made: dict[str, str] = field(default_factory=dict)
    warning: str = ""


def render_report(report: Report) -> str:
    """The HTML of a report; every name in it is escaped."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {
        "name": show_name,
        "data": lambda image, kind="jpeg": f"data:image/{kind};base64," + b64encode(image).decode("ascii"),
        "estimate": format_estimate,
    }
    template = page.from_string(Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8"))
    best = next(cell for cell in report.cells if cell.chosen)
    return template.render(r=report, best=best, said=say_answer(report.cells))


def say_answer(cells: Sequence[Cell]) -> str:
    """The outcome in one sentence: what val chose, how it did on test, and what cannot be told from it."""
    best = next(cell for cell in cells if cell.chosen)
    ties = sum(cell.tie for cell in cells)
    tied = f"{ties} of the other {len(cells) - 1} cells cannot be told from it" if ties else "no other cell ties"
    return (
        f"Train at {best.train_res} px and test at {best.test_res} px: {format_estimate(best.test)} of "
        f"{len(best.row)} test images are right; the pair was chosen on val, and {tied} (McNemar, 5 %)."
    )
