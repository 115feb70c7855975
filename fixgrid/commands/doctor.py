"""fixgrid doctor."""

from __future__ import annotations

import click

from . import options
from .console import Console
from .usage import command


@command(short_help="Check libraries, machine and cache; recommend options.")
@options.cache
@options.option("--deep", is_flag=True, help="Read and hash every byte of features, too.")
@options.style
@click.pass_context
def doctor(ctx: click.Context, /, cache: str, deep: bool, style: str) -> None:
    """Check libraries, machine and cache, time decoding and the trunk, and recommend options.

    Ends with 2 if the installation is broken, with 4 if the cache is.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.doctor(cache, deep=deep, watcher=console)
    click.echo(found.format(style), nl=False)
    ctx.exit(2 if found.unfit else 4 if found.damaged else 0)
