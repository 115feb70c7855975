"""fixgrid heads: ls."""

from __future__ import annotations

import click

from . import options
from .console import Console
from .usage import group


@group("heads")
def heads() -> None:
    """Look into the heads that fit-head kept."""


@heads.command("ls", short_help="List the heads kept beside a cache.")
@options.cache
@options.style
@click.pass_context
def heads_ls(ctx: click.Context, /, cache: str, style: str) -> None:
    """List the heads kept beside a cache: what each is of, how it did, and on how many images it was trained."""
    import fixgrid

    with Console(ctx) as console:
        from fixgrid.keeping import format_heads

        listed = format_heads(fixgrid.list_heads(cache, watcher=console), style)
    click.echo(listed, nl=False)
