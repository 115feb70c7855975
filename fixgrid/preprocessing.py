"""Whose word it is how a trunk's pixels are prepared, and what is only assumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .cache.errors import UsageError
from .embed.trunks.files import read_trunk
from .embed.trunks.identity import TrunkFacts
from .embed.trunks.library import name_metadata
from .embed.trunks.look import LOOK, describe_look, name_options
from .embed.watcher import Watcher
from .requests import Request

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk


def wrap_module(trunk: str | nn.Module | OwnTrunk, weights: Path | None, watcher: Watcher) -> OwnTrunk:
    """A module of the user's, or what a file of theirs gives, with what is assumed of its input.

    Raises
    ------
    UsageError
        If there are weights beside a module, or the file gives no trunk.
    DataError
        If the weights, or the graph, cannot be read.
    """
    from .embed.trunks.own import OwnTrunk

    if isinstance(trunk, str):
        return read_trunk(trunk, weights, watcher.notice)
    if weights is not None:
        raise UsageError("found weights beside a module; expected a module that has them: load them into it first.")
    return trunk if isinstance(trunk, OwnTrunk) else OwnTrunk(trunk)


def find_origins(request: Request, facts: TrunkFacts) -> dict[str, str]:
    """Whose word each field of the preprocessing is."""
    origins = facts.origins
    if not origins:
        whose = name_metadata(facts.name, facts.architecture) + ", assumed" * bool(request.weights)
        origins = dict.fromkeys(LOOK, whose)
    return dict(origins) | {name: f"your {name_options([name])}" for name in request.look}


def summarise_origins(request: Request, facts: TrunkFacts) -> str:
    """The same in short, as ``your --mean; timm's metadata of resnet18``."""
    given = ["your " + name_options(request.look)] if request.look else []
    others = [whose for name, whose in find_origins(request, facts).items() if name not in request.look]
    return "; ".join([*given, *dict.fromkeys(others)])


def say_assumed(request: Request, facts: TrunkFacts) -> None:
    """That a file of weights says nothing of the pixels that it was trained on."""
    assumed = [name for name in LOOK if name not in request.look]
    if request.weights and assumed and not facts.origins:
        request.watcher.notice(
            f"note: {request.weights} says nothing of its preprocessing; that of {facts.name} is assumed "
            f"({describe_look(facts.preprocess, assumed)}): if it was trained on other pixels, give "
            f"{name_options(assumed)}"
        )
