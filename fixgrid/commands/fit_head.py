"""fixgrid fit-head."""

from __future__ import annotations

from typing import Any

import click

from fixgrid.cache.address import say_place

from . import cell_options, options
from .console import Console, say
from .usage import command


@command("fit-head", short_help="Fit, choose on val, score on test once, and keep the head.")
@options.reads_features
@cell_options.makes_cells
@options.option("--curve", help="Print the learning curve at these shares of the images, as in 1,5,10,50%.")
@options.breakdown
@options.option(
    "--prefer",
    type=options.choice("accurate", "cheap"),
    default="accurate",
    show_default=True,
    help="The best on val, or the cheapest that val cannot tell from it.",
)
@options.option(
    "--out",
    "-o",
    type=options.Place(dir_okay=False),
    help="Head file, without suffix. [default: beside the features]",
)
@options.style
@click.pass_context
def fit_head(
    ctx: click.Context,
    /,
    curve: str | None,
    per_class: bool,
    confused: int | None,
    mistakes: int | None,
    out: str | None,
    style: str,
    **asked: Any,
) -> None:
    """Fit the head of the best resolution pair, chosen on val, score it on test once, and keep it.

    With --curve, print instead what some of the training images would have given; no head is kept.
    """
    import fixgrid

    if curve is not None:
        del asked["prefer"]
        with Console(ctx) as console:
            found = fixgrid.curve(**asked, shares=curve, watcher=console)
        click.echo(found.format(style), nl=False)
        return
    with Console(ctx) as console:
        kept = fixgrid.fit_head(**asked, out=out, confused=confused or 0, watcher=console)
    click.echo(kept.format(style, per_class=per_class, confused=confused, mistakes=mistakes), nl=False)
    say(f"head written to {say_place(kept.files[0])} and {kept.files[1].name}")
