"""fixgrid evaluate."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="Score a kept head on labelled images.")
@options.head
@options.option(
    "--data",
    required=True,
    shell_complete=options.complete_data,
    help="Labelled images: as of extract. Classes are matched by name.",
)
@options.option(
    "--of",
    "split",
    type=options.choice("train", "val", "test"),
    default="test",
    show_default=True,
    help="Which split of them.",
)
@options.cache
@options.table
@options.own_trunk
@options.moved_weights
@options.style
@options.machine
@options.follow_links
@click.pass_context
def evaluate(ctx: click.Context, /, head: str, style: str, **asked: Any) -> None:
    """Score a kept head on labelled images, its own or others of the same classes.

    HEAD is what fit-head wrote. Features are cached as predict caches them.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.evaluate(head, **asked, watcher=console)
    click.echo(found.format(style), nl=False)
    for line in found.outcome.list_skipped():
        say(line, always=True)
    say(f"{found.figures.say_size()}, {len(found.outcome.bad)} skipped; {found.figures.said_intervals}")
    if found.shift:
        say(found.shift.describe())
    ctx.exit(6 if found.outcome.bad else 0)
