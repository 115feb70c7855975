"""Which trunk a request means: a library's by its name, or the user's own, its pixels prepared as asked."""

from __future__ import annotations

import re
from pathlib import Path

from .cache.errors import UsageError
from .embed.trunks.costs import COSTS_FILE, expect_taken
from .embed.trunks.files import is_file, is_script
from .embed.trunks.identity import KnownTrunk, identify_trunk, prepare_otherwise, recall_trunk
from .embed.trunks.library import find_source
from .preprocessing import wrap_module
from .requests import Request

DEFAULT_TRUNK = "efficientnet_lite0"


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


def identify(request: Request) -> KnownTrunk:
    """The trunk, its pixels prepared as the request says where it says anything."""
    trunk = _identify_published(request)
    return prepare_otherwise(trunk, trunk.facts.preprocess.override(request.look)) if request.look else trunk


def _identify_published(request: Request) -> KnownTrunk:
    if is_named(request):
        name, weights, memos = name_trunk(request), find_weights(request), request.folder / "trunks"
        if recall_trunk(name, weights, memos) is None:  # a size that it does not take is said before a download
            source, memo = find_source(name), request.folder / COSTS_FILE
            expect_taken(name, source.architecture, source.preprocess, request.wanted.resolutions, memo)
        return identify_trunk(name, weights, memos, request.watcher.notice)
    from .embed.trunks.own import identify_own

    assert request.trunk is not None
    weights = find_weights(request)
    own = wrap_module(request.trunk, weights, request.watcher)
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
    if is_script(trunk):
        raise UsageError(f"found {trunk} in fixgrid.toml, which is no reason to run code: type --trunk {trunk}.")
