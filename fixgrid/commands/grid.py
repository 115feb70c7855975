"""fixgrid grid."""

from __future__ import annotations

from typing import Any

import click

from . import cell_options, options
from .console import Console, say
from .usage import command


@command(short_help="Print how good every train x test resolution pair is.")
@options.reads_features
@cell_options.makes_cells
@options.option(
    "--nested", is_flag=True, help="Print how well the choice itself does: each of --folds tests what others chose."
)
@options.option(
    "--resplit", type=click.IntRange(1), help="Print what so many splits, dealt anew from all images, would choose."
)
@cell_options.top
@options.style
@click.pass_context
def grid(
    ctx: click.Context, /, style: str, top: int | None, nested: bool, resplit: int | None, **asked: Any
) -> None:
    """Print how good every train x test resolution pair is, the best marked, ties called ties.

    Several trunks, kinds of features, crop ratios or views make one table: --trunk a,b or all. With --nested or
    --resplit, print instead how far such a choice can be trusted; no trunk runs for either.
    """
    import fixgrid
    from fixgrid.cache.errors import UsageError

    console = Console(ctx)
    if nested and resplit:
        raise UsageError("found --nested with --resplit, expected one of them: leave one out.")
    if nested:
        click.echo(fixgrid.cross_validate(**asked, watcher=console).format(style), nl=False)
        return
    if resplit:
        click.echo(fixgrid.choose_again(**asked, splits=resplit, watcher=console).format(style), nl=False)
        return
    found = fixgrid.grid(**asked, on_cell=say_cell, watcher=console)
    click.echo(found.format(style, top), nl=False)


def say_cell(cell: Any) -> None:
    """A cell that is made, on stderr."""
    where = f"{cell.axes.trunk} {cell.family} {cell.correction} {cell.train_res} -> {cell.test_res}"
    say(f"{where}: val {cell.measure.show(cell.val.value)}{cell.measure.suffix}")
