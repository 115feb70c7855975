"""fixgrid extract."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="Run the trunk once per split and size; cache features.")
@options.extracts
@options.recalibrate
@options.option(
    "--part",
    help="I/N: one of N parts, from 0/N, beside others on this cache; auto asks Slurm's and others' variables. "
    "Then once without it, which seals.",
)
@options.option(
    "--ray-address",
    help="With --engine ray: auto or HOST:PORT of a cluster, or local. [default: RAY_ADDRESS, else this machine]",
)
@options.option(
    "--gpus-per-worker",
    type=float,
    help="With --engine ray: how many, or a share of one. [default: 1 where the device is cuda, else 0]",
)
@click.pass_context
def extract(ctx: click.Context, /, **asked: Any) -> None:
    """Run the trunk once per split and resolution and cache its features.

    The same command resumes a stopped run and recomputes only what changed.
    """
    import fixgrid

    with Console(ctx) as console:
        done = fixgrid.extract(**asked, watcher=console)
    passes = {"": done.outcome, **{f"recalibrated at {res} px: ": more for res, more in done.recalibrated.items()}}
    for title, outcome in passes.items():
        for line in outcome.list_skipped():
            say(line, always=True)
        click.echo(title + outcome.describe())
    ctx.exit(6 if done.outcome.bad else 0)
