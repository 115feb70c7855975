"""Whose word it is how a trunk's pixels are prepared, and what is only assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .embed.trunks.identity import TrunkFacts
from .embed.trunks.library import name_metadata
from .embed.trunks.look import LOOK, describe_look, name_options
from .requests import Request

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk


def wrap_module(trunk: nn.Module | OwnTrunk) -> OwnTrunk:
    """A module of the user's, with what is assumed of its input."""
    from .embed.trunks.own import OwnTrunk

    return trunk if isinstance(trunk, OwnTrunk) else OwnTrunk(trunk)


def find_origins(request: Request, facts: TrunkFacts) -> dict[str, str]:
    """Whose word each field of the preprocessing is."""
    if isinstance(request.trunk, str | None):
        whose = name_metadata(facts.name, facts.architecture) + ", assumed" * bool(request.weights)
        origins = dict.fromkeys(LOOK, whose)
    else:
        origins = wrap_module(request.trunk).origins
    return origins | {name: f"your {name_options([name])}" for name in request.look}


def summarise_origins(request: Request, facts: TrunkFacts) -> str:
    """The same in short, as ``your --mean; timm's metadata of resnet18``."""
    given = ["your " + name_options(request.look)] if request.look else []
    others = [whose for name, whose in find_origins(request, facts).items() if name not in request.look]
    return "; ".join([*given, *dict.fromkeys(others)])


def say_assumed(request: Request, facts: TrunkFacts) -> None:
    """That a file of weights says nothing of the pixels that it was trained on."""
    assumed = [name for name in LOOK if name not in request.look]
    if request.weights and assumed:
        request.watcher.notice(
            f"note: {request.weights} says nothing of its preprocessing; that of {facts.name} is assumed "
            f"({describe_look(facts.preprocess, assumed)}): if it was trained on other pixels, give "
            f"{name_options(assumed)}"
        )
