"""fixgrid search."""

from __future__ import annotations

from typing import Any

import click

from . import cell_options, options
from .console import Console
from .usage import command


@command(short_help="Extract by several trunks and resolutions, within a budget.")
@options.extracts
@options.option("--budget", help="A time (30m), multiply-adds (5TMAC) or crops (20000images). [default: none]")
@cell_options.pairs
@cell_options.heads
@cell_options.strengths
@cell_options.top
@options.style
@click.pass_context
def search(ctx: click.Context, /, top: int | None, style: str, **asked: Any) -> None:
    """Extract by several trunks at several resolutions, and print the grid of all.

    With --budget, all see a share of the images first, and what is best on val sees more.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.search(**asked, watcher=console)
    click.echo(found.format(style, top), nl=False)
