"""fixgrid plan."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="Say what extract would do, take and write.")
@options.extracts
@options.recalibrate
@options.option("--calibrate", is_flag=True, help="Time the trunk on a few images first, and remember its speed.")
@options.option(
    "--slurm",
    type=click.IntRange(1),
    help="List the images into the cache, and print a script that has Slurm extract in N parts.",
)
@options.style
@click.pass_context
def plan(ctx: click.Context, /, style: str, **asked: Any) -> None:
    """Say what extract with the same options would do, take and write, without running the trunk."""
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.plan(**asked, watcher=console)
    if found.script:
        say(found.format("table"))
    click.echo(found.script or found.format(style), nl=False)
