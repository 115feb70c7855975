"""fixgrid cache: ls, verify, why and gc."""

from __future__ import annotations

from typing import Any

import click

from fixgrid.cache.errors import CacheError

from . import options
from .console import Console
from .usage import Option, group


@group("cache")
def cache() -> None:
    """Look into the feature cache, check it, clean it."""


@cache.command("ls")
@options.cache
@options.style
@click.pass_context
def cache_ls(ctx: click.Context, /, cache: str, style: str) -> None:
    """List what is cached."""
    import fixgrid

    with Console(ctx):
        from fixgrid.looking import format_cache

        listed = format_cache(fixgrid.list_cache(cache), style)
    click.echo(listed, nl=False)


@cache.command("verify", short_help="Hash every file again and check every row.")
@options.cache
@options.option(
    "--sample", type=click.IntRange(0), default=0, show_default=True, help="Rows per key to compute again."
)
@click.pass_context
def cache_verify(ctx: click.Context, /, cache: str, sample: int) -> None:
    """Hash every file again and check every row; with --sample, compute some rows again."""
    import fixgrid

    with Console(ctx) as console:
        keys, problems = fixgrid.verify_cache(cache, sample=sample, watcher=console)
    for line in problems:
        click.echo(line)
    if problems:
        raise CacheError(f"found {len(problems)} damaged parts; run the extract that made them again.")
    click.echo(f"{keys} keys: every byte is as it was written")


@cache.command("why", short_help="Explain how a key differs from its nearest neighbour.")
@click.argument("key", required=False)
@options.extracts
@click.pass_context
def cache_why(ctx: click.Context, /, key: str | None, cache: str, **asked: Any) -> None:
    """Explain, field by field, how a key differs from its nearest neighbour in the cache.

    Without KEY, explain it for every key that extract with the same options would have to compute.
    """
    import fixgrid

    if key is not None:
        with Console(ctx):
            explained = fixgrid.explain_key(key, cache)
        _echo_nearest(*explained)
        return
    with Console(ctx) as console:
        misses = fixgrid.plan(**asked, cache=cache, watcher=console).explain_misses()
    for miss in misses:
        lacks = f"lacks {miss.lacking} of {miss.rows} rows"
        click.echo(f"{miss.key[:12]} {miss.split} {miss.kind} {miss.res} px {lacks}")
        if miss.nearest:
            _echo_nearest(miss.nearest, miss.differences)
        else:
            click.echo(f"  {cache} holds no other key")
    if not misses:
        click.echo("every key is cached")


def _echo_nearest(nearest: str, lines: list[str]) -> None:
    click.echo(f"nearest key {nearest[:12]} differs in {len(lines)} field{'s' * (len(lines) != 1)}:")
    for line in lines:
        click.echo(f"  {line}")


@cache.command("gc", short_help="Find what nothing needs any more, and remove it.")
@options.cache
@click.option("--yes", cls=Option, is_flag=True, help="Remove it; without, only say what would be removed.")
@click.pass_context
def cache_gc(ctx: click.Context, /, cache: str, yes: bool) -> None:
    """Find what nothing needs any more: features of data sets as they were, damaged files, leftovers.

    Also of what predict has kept; its images are a data set that is called as they were named.
    """
    import fixgrid

    with Console(ctx):
        found = fixgrid.clean_cache(cache, remove=yes)
    for item in found:
        click.echo(f"{item.bytes / 1e6:8.1f} MB  {item.path}: {item.why}")
    total = sum(item.bytes for item in found) / 1e6
    click.echo(f"{total:.1f} MB {'removed' if yes else 'to remove with --yes'}")
