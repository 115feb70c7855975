"""fixgrid report."""

from __future__ import annotations

from typing import Any

import click

from fixgrid.cache.errors import say_typed

from . import cell_options, options
from .console import Console
from .usage import command


@command(short_help="Write the grid and the chosen head as one HTML page.")
@options.reads_features
@cell_options.makes_cells
@options.option(
    "--out", "-o", type=options.Place(dir_okay=False), default="report.html", show_default=True, help="HTML file."
)
@click.pass_context
def report(ctx: click.Context, /, **asked: Any) -> None:
    """Write the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it."""
    import fixgrid

    with Console(ctx) as console:
        out = fixgrid.report(**asked, command=say_typed(), watcher=console)
    click.echo(f"report written to {out}")
