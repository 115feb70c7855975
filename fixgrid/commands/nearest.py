"""fixgrid nearest."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="List the cached images most alike to others.")
@click.argument("images", nargs=-1, required=True)
@options.data
@options.cache
@options.run_cached_trunk
@options.moved_weights
@options.names_splits
@options.option("--top", type=click.IntRange(1), default=10, show_default=True, help="Cached images for each.")
@options.style
@options.machine
@options.follow_links
@click.pass_context
def nearest(ctx: click.Context, /, images: tuple[str, ...], style: str, **asked: Any) -> None:
    """List the cached images most alike to others, by the cosine of their features.

    IMAGES are files, folders or patterns, or paths of images of the data set, which need no trunk. Exact; asks for
    no head and no labels.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.nearest(images, **asked, watcher=console)
    click.echo(found.format(style), nl=False)
    outcome, n, skipped = found.outcome, len(found.found), sum(one.status != "ok" for one in found.found)
    for line in outcome.list_skipped(found.seen):
        say(line)
    say(
        f"{n} images: {outcome.decoded} decoded in {outcome.wall_s:.1f} s, "
        f"{n - outcome.decoded - skipped} from the cache, {skipped} skipped"
    )
    ctx.exit(6 if skipped else 0)
