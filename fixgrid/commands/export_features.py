"""fixgrid export-features."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="Write cached features for other programs.")
@options.data
@options.cache
@options.cached_trunk
@options.names_splits
@options.option(
    "--view", default="center", show_default=True, help="center, train (random crops), or what else was extracted."
)
@options.option(
    "--out",
    type=options.Place(dir_okay=False),
    required=True,
    help="File to write, which ends in .npz, .parquet, .safetensors, .csv or, for LightlyOne, .lightly.csv.",
)
@click.pass_context
def export_features(ctx: click.Context, /, **asked: Any) -> None:
    """Write cached features for other programs, with paths, splits, labels, row ids and views.

    Values are the cache's, bit for bit. One file holds all splits; images without features are left out.
    """
    import fixgrid

    with Console(ctx) as console:
        done = fixgrid.export_features(**asked, watcher=console)
    for line in done.list_skipped():
        say(line)
    click.echo(
        f"{done.lines} lines of {done.dim} features, of {done.images} images, written to {done.file}; "
        f"{len(done.skipped)} images skipped"
    )
