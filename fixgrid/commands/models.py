"""fixgrid models."""

from __future__ import annotations

import click

from fixgrid.cache.text import format_records

from . import options
from .console import say


@click.command()
@options.style
def models(style: str) -> None:
    """List trunks: size, cost, accuracy, licence, and where the weights come from.

    Any other timm or torchvision name works too, as timm:NAME or torchvision:NAME.
    """
    import fixgrid
    from fixgrid.embed.trunks.catalogue import shorten_trunk

    say("counting the parameters and multiply-adds of every trunk, some 20 s")
    records = fixgrid.models()
    if style != "table":
        click.echo(format_records(records, style), nl=False)
        return
    notes = [f"{record['trunk']}: {record['note']}" for record in records if record["note"]]
    notes += ["NC is CC BY-NC 4.0: not for commercial use", "where weights come from: --format csv"]
    click.echo("\n".join([format_records(list(map(shorten_trunk, records)), style), *notes]))
