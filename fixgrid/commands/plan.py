"""fixgrid plan."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console
from .usage import command


@command(short_help="Say what extract would do, take and write.")
@options.extracts
@options.recalibrate
@options.option("--calibrate", is_flag=True, help="Time the trunk on a few images first, and remember its speed.")
@options.style
@click.pass_context
def plan(ctx: click.Context, /, style: str, **asked: Any) -> None:
    """Say what extract with the same options would do, take and write, without running the trunk."""
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.plan(**asked, watcher=console)
    click.echo(found.format(style), nl=False)
