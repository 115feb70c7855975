"""fixgrid grid."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say


@click.command()
@options.reads_features
@options.makes_cells
@options.style
@click.pass_context
def grid(ctx: click.Context, /, style: str, **asked: Any) -> None:
    """Print the accuracy of every train x test resolution pair, the best marked, ties called ties."""
    import fixgrid

    found = fixgrid.grid(**asked, on_cell=_say_cell, watcher=Console(ctx))
    click.echo(found.format(style), nl=False)


def _say_cell(cell: Any) -> None:
    say(f"{cell.family} {cell.correction} {cell.train_res} -> {cell.test_res}: val {100 * cell.val.value:.2f} %")
