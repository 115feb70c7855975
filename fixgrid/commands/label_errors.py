"""fixgrid label-errors."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import click

from fixgrid.cache.text import WIDTH

from . import options
from .console import Console, say
from .usage import command


@command(short_help="List images whose labels are probably wrong.")
@options.judges_labels
@options.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of train and val.")
@options.option(
    "--top", type=click.IntRange(1), help="Labels to list. [default: 20, or all that look drawn at random]"
)
@options.style
@click.pass_context
def label_errors(ctx: click.Context, /, style: str, top: int | None, **asked: Any) -> None:
    """List images whose labels are probably wrong, the most doubtful first, and change none.

    Each label is judged by a head that did not learn from it: train and val by folds, test by a head of both.
    """
    import fixgrid

    with Console(ctx) as console:
        found = fixgrid.label_errors(**asked, watcher=console)
    click.echo(found.format(style, top), nl=False)
    for line in found.say():
        say(fill(line, WIDTH))
