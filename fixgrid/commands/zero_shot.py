"""fixgrid zero-shot."""

from __future__ import annotations

from typing import Any

import click

from fixgrid.cache.address import say_place

from . import options
from .console import Console, say
from .usage import command


@command("zero-shot", short_help="Make a head of class names, by an open_clip trunk.")
@options.data
@options.cache
@options.cached_trunk
@options.names_view
@options.option("--classes", help="As in cat,dog, NAME=WORDS to ask for, or a file of them. [default: the data's]")
@options.option(
    "--template",
    "templates",
    multiple=True,
    help='As in "a photo of a {}."; may be repeated. [default: CLIP\'s seven]',
)
@options.option(
    "--out",
    type=options.Place(dir_okay=False),
    help="Head file, without suffix. [default: beside the features]",
)
@options.style
@click.pass_context
def zero_shot(ctx: click.Context, /, style: str, templates: tuple[str, ...], **asked: Any) -> None:
    """Make a head of class names by the text tower of an open_clip trunk, and keep it.

    No image is learnt from; where test has labels of these classes, it is scored once. Needs features of the kind
    projected: extract --features projected.
    """
    import fixgrid

    with Console(ctx) as console:
        made = fixgrid.zero_shot(**asked, templates=templates or None, watcher=console)
    click.echo(made.format(style), nl=False)
    say(f"head written to {say_place(made.files[0])} and {made.files[1].name}")
