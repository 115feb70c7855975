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
    nearest 224 px: copies saved again, resized, recoloured, mirrored, cropped, framed or written on are found.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.duplicates(**asked, watcher=console)
    twins = found.twins
    click.echo(found.format(style), nl=False)
    across = sum(twin.first[0] != twin.second[0] for twin in twins)
    conflicts = sum(twin.conflict for twin in twins)
    say(f"{across} pairs across splits, {len(twins)} pairs in all, {conflicts} with other labels")
    if found.unseen:
        say(f"{found.unseen:,} images compared by features alone: gone, changed, or below 64 px.")
    if found.alike:
        say("So many look alike to this trunk that near ones and scenes may well be different images.")
