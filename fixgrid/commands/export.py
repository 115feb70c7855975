"""fixgrid export."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .console import Console, say
from .usage import command


@command(short_help="Write trunk and head for other programs.")
@options.head
@options.option("--to", type=options.choice("onnx", "torch", "safetensors", "sklearn"), required=True)
@options.option(
    "--out",
    "-o",
    type=options.Place(dir_okay=False),
    required=True,
    help="File to write; the model card goes beside it.",
)
@options.cache
@options.own_trunk
@options.moved_weights
@click.pass_context
def export(ctx: click.Context, /, head: str, to: str, out: str, **asked: Any) -> None:
    """Write trunk and head for other programs, with a model card beside the file.

    onnx and torch take uint8 RGB crops (B, R, R, 3) and give probabilities; safetensors is a state dict for
    timm or torchvision; sklearn is the head alone. What has a trunk is run against it before it is kept.
    """
    import fixgrid

    with Console(ctx) as console:
        done = fixgrid.export(head, to, out, **asked, watcher=console)
    if done.distance is not None:
        say(f"checked: its answers are within {done.distance:.1e} of the trunk's and head's own")
    click.echo(f"written to {done.file}, model card in {done.card.name}")
