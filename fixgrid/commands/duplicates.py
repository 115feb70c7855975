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

    Each image is compared by its pixels with the five nearest to it by the features of the cached center views
    nearest 224 px, and with those that are like it as a whole: copies saved again, resized, recoloured, mirrored,
    cropped, framed or written on are found.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.duplicates(**asked, watcher=console)
    click.echo(found.format(style), nl=False)
    for line in found.describe():
        say(line)
