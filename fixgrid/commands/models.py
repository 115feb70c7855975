"""fixgrid models."""

from __future__ import annotations

import click

from . import options
from .usage import command


@command(short_help="List trunks: size, cost, accuracy, licence, sizes taken.")
@click.argument("pattern", nargs=-1)
@options.style
def models(pattern: tuple[str, ...], style: str) -> None:
    """List trunks: size, cost, accuracy, licence, sizes they take, and whether their weights are here.

    With PATTERN, all that timm, torchvision and fixgrid have weights for whose names have it: parts of a name, or a
    glob. Of several, all must occur, as in: models dinov2 small
    """
    import fixgrid
    from fixgrid.searching import format_models

    click.echo(format_models(fixgrid.models(pattern), style, families=not pattern), nl=False)
