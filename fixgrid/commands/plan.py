"""fixgrid plan."""

from __future__ import annotations

from typing import Any

import click

from fixgrid.cache.text import format_records

from . import options
from .console import Console


@click.command()
@options.extracts
@options.recalibrate
@options.option("--calibrate", is_flag=True, help="Time the trunk on a few images first, and remember its speed.")
@options.style
@click.pass_context
def plan(ctx: click.Context, /, style: str, **asked: Any) -> None:
    """Say what extract with the same options would do, take and write, without running the trunk."""
    import fixgrid

    with Console(ctx) as console:
        items = fixgrid.plan(**asked, watcher=console).items
    click.echo(format_records([item._asdict() for item in items], style, wrapped=["note"]), nl=False)
