"""fixgrid evaluate."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from fixgrid.cache.errors import UsageError

from . import options
from .console import Console, say
from .usage import command, say_usage


@command(short_help="Score a kept head on labelled images.")
@options.head
@click.argument("place", metavar="[DATA]", required=False, shell_complete=options.complete_data)
@options.option("--data", shell_complete=options.complete_data, help="Likewise, in place of DATA.")
@options.option(
    "--of",
    "split",
    type=options.choice("train", "val", "test", "all"),
    help="Which images. [default: test of the head's own data, and where others have one; else all]",
)
@options.breakdown
@options.option("--skip-unknown", is_flag=True, help="Leave out images of classes that the head does not know.")
@options.cache
@options.table
@options.own_trunk
@options.moved_weights
@options.style
@options.machine
@options.follow_links
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    head: str,
    place: str | None,
    data: str | None,
    per_class: bool,
    confused: int | None,
    mistakes: int | None,
    style: str,
    **asked: Any,
) -> None:
    """Score a kept head on labelled images, its own or others of the same classes.

    HEAD is what fit-head wrote, or a name that heads ls shows; DATA a folder of class folders, a table, or
    what else extract takes; classes are matched by name. Features are cached as predict caches them.
    """
    import fixgrid

    named = _choose_data(ctx, place, data)
    with Console(ctx) as console:
        found = fixgrid.evaluate(head, named, confused=confused or 0, **asked, watcher=console)
    click.echo(found.format(style, per_class=per_class, confused=confused, mistakes=mistakes), nl=False)
    for line in found.outcome.list_skipped():
        say(line, always=True)
    say(f"{found.figures.say_size()}, {len(found.outcome.bad)} skipped; {found.figures.said_intervals}")
    if found.warning:
        say(found.warning, always=True)
    if found.shift:
        say(found.shift.describe())
    ctx.exit(6 if found.outcome.bad else 0)


def _choose_data(ctx: click.Context, place: str | None, named: str | None) -> str:
    """What stands for the data set where it may be typed without an option: that, else what ``--data`` names.

    Raises
    ------
    UsageError
        If both were typed, or there is neither.
    """
    if place and named and ctx.get_parameter_source("data") is ParameterSource.COMMANDLINE:
        raise UsageError(f"found DATA twice, {place!r} and --data {named!r}; expected one of them: leave one out.")
    if not (place or named):
        raise UsageError(f"found no DATA; {say_usage(ctx)}.")
    return str(place or named)
