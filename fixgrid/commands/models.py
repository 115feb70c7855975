"""fixgrid models."""

from __future__ import annotations

import click

from . import options
from .console import say


@click.command()
@options.style
def models(style: str) -> None:
    """List trunks: size, cost, accuracy, licence, and where the weights come from.

    Any other timm or torchvision name works too, as timm:NAME or torchvision:NAME.
    """
    import fixgrid
    from fixgrid.looking import format_models

    say("counting the parameters and multiply-adds of every trunk, some 20 s")
    click.echo(format_models(fixgrid.models(), style), nl=False)
