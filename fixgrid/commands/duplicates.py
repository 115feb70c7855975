"""fixgrid duplicates."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="List images that occur twice.")
@options.reads_features
@options.style
@click.pass_context
def duplicates(ctx: click.Context, /, style: str, **asked: Any) -> None:
    """List images that occur twice, within a split or across splits, and drop none.

    Equal bytes, equal pixels, or features nearly alike in the cached center views nearest 224 px.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.duplicates(**asked, watcher=console)
    twins = found.twins
    click.echo(found.format(style), nl=False)
    say(f"{len(twins)} pairs of images that occur twice, {sum(twin.conflict for twin in twins)} with other labels")
    if found.alike:
        say("So many look alike to this trunk that near ones may well be different images.")
