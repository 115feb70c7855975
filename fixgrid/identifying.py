"""Which trunk a request means: a library's by its name, or the user's own, its pixels prepared as asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from .cache.errors import UsageError
from .embed.trunks.costs import COSTS_FILE, expect_taken
from .embed.trunks.files import is_file, is_script, split_names
from .embed.trunks.identity import KnownTrunk, identify_trunk, prepare_otherwise, recall_trunk
from .embed.trunks.library import find_source
from .preprocessing import wrap_module
from .requests import Request

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk

DEFAULT_TRUNK = "efficientnet_lite0"

Asked = TypeVar("Asked", bound=Request)


def split_request(request: Asked) -> list[Asked]:
    """A request for each of the trunks that one names, in their order.

    Raises
    ------
    UsageError
        If it names none, or gives several of them one file of weights or one name.
    """
    trunks = list(dict.fromkeys(_list_trunks(request.trunk)))
    if not trunks:
        raise UsageError("found no trunk; expected one or more, as in --trunk resnet18,resnet50.")
    for option, given in (("--weights", request.weights), ("--name", request.name)):
        if given and len(trunks) > 1:
            raise UsageError(f"found {option} with {len(trunks)} trunks, expected it with one: run each by itself.")
    return [replace(request, trunk=trunk) for trunk in trunks]


def _list_trunks(asked: object) -> list[str | nn.Module | OwnTrunk | None]:
    if isinstance(asked, str):
        return [*split_names(asked)]
    if isinstance(asked, list | tuple):
        return [trunk for part in asked for trunk in _list_trunks(part)]
    return [asked]  # type: ignore[list-item]


def name_trunk(request: Request) -> str:
    """What the trunk is called; the default one's name if none is asked for."""
    return request.trunk if isinstance(request.trunk, str) else DEFAULT_TRUNK


def find_weights(request: Request) -> Path | None:
    """The file that was given in place of published weights."""
    return Path(request.weights).expanduser() if request.weights else None


def expect_name(name: str | None) -> str:
    """What the user calls a trunk; empty if nothing.

    Raises
    ------
    UsageError
        If it is none that a label or a file can hold.
    """
    if name is not None and not re.fullmatch(r"[\w.:+-]{1,80}", name):
        raise UsageError(f"found the name {name!r}; expected up to 80 letters, digits and any of . _ : + -")
    return name or ""


def identify_all(requests: Sequence[Request]) -> list[KnownTrunk]:
    """The trunk of each request; a size that one of them does not take is said before anything is downloaded.

    Raises
    ------
    FixgridError
    """
    named = [request for request in requests if is_named(request)]
    memos = [recall_trunk(name_trunk(one), find_weights(one), one.folder / "trunks") for one in named]
    for request in named if None in memos else ():
        source, memo = find_source(name := name_trunk(request)), request.folder / COSTS_FILE
        expect_taken(name, source.architecture, source.preprocess, request.wanted.resolutions, memo)
    return [_identify(request) for request in requests]


def _identify(request: Request) -> KnownTrunk:
    """The trunk, its pixels prepared as the request says where it says anything."""
    trunk = _identify_published(request)
    return prepare_otherwise(trunk, trunk.facts.preprocess.override(request.look)) if request.look else trunk


def _identify_published(request: Request) -> KnownTrunk:
    if is_named(request):
        memos = request.folder / "trunks"
        request.watcher.phase(f"looking at {name_trunk(request)}")
        return identify_trunk(name_trunk(request), find_weights(request), memos, request.watcher.notice)
    from .embed.trunks.own import identify_own

    weights = find_weights(request)
    own = wrap_module(cast("str | nn.Module | OwnTrunk", request.trunk), weights, request.watcher)
    if own.takes_pixels and {"mean", "std"} & request.look.keys():
        raise UsageError(f"found --mean or --std for {own.name}, which takes pixels as they are: leave them out.")
    return identify_own(own, str(weights.resolve()) if weights else "")


def is_named(request: Request) -> bool:
    """Whether the trunk is a library's."""
    return isinstance(request.trunk, str | None) and not is_file(name_trunk(request))


def expect_data(trunk: str) -> None:
    """Refuse a trunk that is code, where a file and not a person names it.

    Raises
    ------
    UsageError
    """
    if any(map(is_script, split_names(trunk))):
        raise UsageError(f"found {trunk} in fixgrid.toml, which is no reason to run code: type --trunk {trunk}.")
