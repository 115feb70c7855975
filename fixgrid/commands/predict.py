"""fixgrid predict."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="Classify images with a kept head.")
@options.head
@click.argument("images", nargs=-1, required=True)
@options.cache
@options.own_trunk
@options.moved_weights
@options.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Classes per image.")
@options.option(
    "--coverage",
    metavar="SHARE",
    help="Also the set of classes that holds the right one so often, as in 90%; of numbers an interval.",
)
@options.option(
    "--unknown",
    metavar="[SHARE]",
    is_flag=False,
    flag_value="0.05",
    help="Also which images are of no known class, where so many of known ones may be called so; alone, 5%.",
)
@options.style
@options.machine
@options.follow_links
@click.pass_context
def predict(ctx: click.Context, /, head: str, images: tuple[str, ...], style: str, **asked: Any) -> None:
    """Classify images with a kept head: calibrated probabilities, one record per image.

    HEAD is what fit-head wrote, or a name that heads ls shows. IMAGES are files, folders, patterns, or - for
    paths on standard input. Trunk, view and precision come from HEAD alone; features are cached, and taken from
    the cache where it has them.
    """
    import fixgrid

    typed, called = (_read_stdin(), "-") if images == ("-",) else (images, "")
    with Console(ctx) as console:
        found = fixgrid.predict(head, typed, called=called, **asked, watcher=console)
    click.echo(found.format(style), nl=False)
    outcome = found.outcome
    for line in outcome.list_skipped(found.names):
        say(line, always=True)
    say(
        f"{outcome.images} images: {outcome.decoded} decoded in {outcome.wall_s:.1f} s, "
        f"{outcome.images - outcome.decoded - len(outcome.bad)} from the cache, {len(outcome.bad)} skipped"
    )
    judged = [prediction.unknown for prediction in found.predictions if prediction.unknown is not None]
    if judged:
        say(f"{sum(judged)} of {len(judged)} images are called unknown")
    ctx.exit(6 if outcome.bad else 0)


def _read_stdin() -> Iterable[bytes]:
    from fixgrid.predicting import read_paths

    return read_paths(sys.stdin.buffer if sys.stdin else ())
