"""The figure about trunks: top-1 against parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .drawings import BLUE, INK, ORANGE, Drawing, clip_name, draw, label_log, label_percent, show_name
from .findings import Rival
from .table import cell_record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_trunks(rivals: Sequence[Rival]) -> Drawing:
    """Test accuracy of each trunk's best cell, chosen on val, with its interval, against the trunk's parameters.

    Parameters
    ----------
    rivals : sequence of Rival
        The report's own trunk first.
    """
    order = sorted(rivals, key=lambda rival: rival.parameters)
    named = ", ".join(
        f"{show_name(r.trunk)} {r.parameters / 1e6:.2g} million parameters {r.cell.test.value:.1%}" for r in order
    )
    alt = f"Test accuracy of each trunk's best cell against its parameters: {named}."
    records = [
        {**cell_record(r.cell), "trunk": show_name(r.trunk), "parameters": r.parameters, "gmac": r.macs / 1e9}
        for r in order
    ]

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        for number, rival in enumerate(order, 1):
            x, test = rival.parameters / 1e6, rival.cell.test
            colour = ORANGE if rival is rivals[0] else BLUE
            axes.plot([x, x], [test.low, test.high], "-", color=colour, linewidth=1.2)
            axes.plot([x], [test.value], "o", color=colour, markersize=6, label=_name(number, rival))
            axes.annotate(str(number), (x, test.high), (0, 4), textcoords="offset points", ha="center", color=INK)
        axes.set_xscale("log")
        axes.set_xlim(order[0].parameters / 1.5e6, order[-1].parameters * 1.5 / 1e6)
        axes.margins(y=0.15)
        label_log(axes.xaxis)
        label_percent(axes.yaxis)
        axes.set_xlabel("parameters of the trunk, million")
        axes.set_ylabel("right on test")
        figure.legend(loc="outside lower left", alignment="left")

    return draw("trunks", alt, records, fill, 260 + 16 * len(order))


def _name(number: int, rival: Rival) -> str:
    cell = rival.cell
    return f"{number}  {clip_name(rival.trunk)}, {cell.train_res}→{cell.test_res} px, {rival.macs / 1e9:.2g} GMAC"
