"""fixgrid grid."""

from __future__ import annotations

from typing import Any

import click

from . import cell_options, options
from .console import Console
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

    if nested and resplit:
        raise UsageError("found --nested with --resplit, expected one of them: leave one out.")
    with Console(ctx) as console:
        if nested:
            said = fixgrid.cross_validate(**asked, watcher=console).format(style)
        elif resplit:
            said = fixgrid.choose_again(**asked, splits=resplit, watcher=console).format(style)
        else:
            said = fixgrid.grid(**asked, watcher=console).format(style, top)
    click.echo(said, nl=False)
