"""Costs, widths and sizes of trunks, remembered: they depend on the architecture alone, and torch is slow."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import DiskError

from .library import build_meta_module, list_versions
from .preprocess import Preprocess
from .source import is_own

if TYPE_CHECKING:
    from .trunk import Trunk

COSTS_FILE = Path("trunks", "costs.json")
"""Where a cache folder keeps them."""


def recall_costs(
    architecture: str, resolutions: Sequence[int], memo: Path, load: Callable[[], Trunk] | None = None
) -> tuple[int, dict[int, int]]:
    """Parameters of a trunk, and multiply-adds per image at each resolution (px).

    Parameters
    ----------
    architecture : str
        See `embed.trunks.source.TrunkSource`.
    resolutions : sequence of int, px
    memo : Path
        File that remembers counts; one that cannot be written costs the next call its time.
    load : callable, optional
        Loads the trunk, for one that its architecture is not enough to build: a user's own module.

    Raises
    ------
    UsageError
        If the architecture is unknown, or another module's and not remembered.
    """
    known = _recall(memo)
    wanted = {res: f"{architecture} {res}" for res in resolutions}
    if not {architecture, *wanted.values()} <= known.keys():
        from .trunk import count_architecture, count_module

        own = load() if load else None
        for res, name in wanted.items():
            if own is None:
                costs = count_architecture(architecture, res)
            else:
                costs = count_module(own.name, own.at(res), own.dim, res)
            known |= {name: costs.macs, architecture: costs.parameters}
        _remember(memo, known)
    return known[architecture], {res: known[name] for res, name in wanted.items()}


def recall_widths(
    name: str,
    architecture: str,
    nodes: Sequence[str],
    native_res: int,
    memo: Path,
    load: Callable[[], Trunk] | None = None,
) -> tuple[tuple[str, int], ...]:
    """D of each kind of features of a trunk.

    Parameters
    ----------
    name : str
        For messages.
    architecture : str
    nodes : sequence of str
        See `embed.trunks.nodes.read_parts`.
    native_res : int
        px.
    memo : Path
    load : callable, optional
        Loads the trunk, if it is a user's own module.

    Raises
    ------
    UsageError
        If it has none of a kind.
    """
    known = _recall(memo)
    wanted = {node: f"{architecture} {node}" for node in nodes}
    if not known.keys() >= set(wanted.values()):
        from .tap import count_widths

        own = load() if load and is_own(architecture) else None
        module = own.module if own else build_meta_module(architecture).module
        widths = count_widths(name, module, nodes, native_res)
        known |= {wanted[node]: dim for node, dim in widths.items()}
        _remember(memo, known)
    return tuple((node, known[word]) for node, word in wanted.items())


def expect_taken(
    name: str,
    architecture: str,
    preprocess: Preprocess,
    resolutions: Sequence[int],
    memo: Path,
    load: Callable[[], Trunk] | None = None,
) -> None:
    """Refuse sizes that a trunk does not take, as `embed.trunks.sizes.expect_sizes`; those it takes are remembered.

    Raises
    ------
    UsageError
    """
    known = _recall(memo)
    wanted = {res: f"{architecture} takes {res}" for res in resolutions if res != preprocess.native_res}
    if not known.keys() >= set(wanted.values()):
        from .sizes import expect_sizes

        own = load().module if load and is_own(architecture) else None
        expect_sizes(name, architecture, preprocess, list(wanted), own)
        _remember(memo, known | dict.fromkeys(wanted.values(), 1))


def _recall(memo: Path) -> dict[str, int]:
    try:
        record = json.loads(read_file(memo))
        counts = record["counts"] if record["versions"] == _versions() else {}
        return {str(name): int(count) for name, count in counts.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(memo: Path, counts: dict[str, int]) -> None:
    with suppress(DiskError):
        commit_bytes(memo, json.dumps({"versions": _versions(), "counts": counts}, sort_keys=True).encode())


def _versions() -> list[str]:
    return [version("torch"), *list_versions()]
