"""fixgrid extract."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say


@click.command()
@options.extracts
@options.recalibrate
@click.pass_context
def extract(ctx: click.Context, /, **asked: Any) -> None:
    """Run the trunk once per split and resolution and cache its features.

    The same command resumes a stopped run and recomputes only what changed.
    """
    import fixgrid

    with Console(ctx) as console:
        done = fixgrid.extract(**asked, watcher=console)
    _echo(done.outcome)
    for res, more in done.recalibrated.items():
        click.echo(f"recalibrated at {res} px: ", nl=False)
        _echo(more)
    ctx.exit(6 if done.outcome.bad else 0)


def _echo(outcome: Any) -> None:
    from fixgrid.embed.outcome import describe_outcome, list_skipped

    for line in list_skipped(outcome):
        say(line)
    click.echo(describe_outcome(outcome))
