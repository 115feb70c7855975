"""fixgrid grid."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say


@click.command()
@options.reads_features
@options.makes_cells
@options.top
@options.style
@click.pass_context
def grid(ctx: click.Context, /, top: int | None, style: str, **asked: Any) -> None:
    """Print the accuracy of every train x test resolution pair, the best marked, ties called ties.

    Several trunks, kinds of features, crop ratios or views make one table: --trunk a,b or all.
    """
    import fixgrid

    found = fixgrid.grid(**asked, on_cell=say_cell, watcher=Console(ctx))
    click.echo(found.format(style, top), nl=False)


def say_cell(cell: Any) -> None:
    """A cell that is made, on stderr."""
    where = f"{cell.axes.trunk} {cell.family} {cell.correction} {cell.train_res} -> {cell.test_res}"
    say(f"{where}: val {100 * cell.val.value:.2f} %")
