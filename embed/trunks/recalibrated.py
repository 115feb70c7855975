"""A trunk with other statistics in one of its batch norms: another trunk, found again by what it stems from."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import CacheError

from .identity import KnownTrunk

if TYPE_CHECKING:
    from .trunk import Trunk


def follow_origin(trunk: KnownTrunk, weights_sha256: str, origin: Mapping[str, Any]) -> KnownTrunk:
    """The recalibrated trunk and how to load it.

    Parameters
    ----------
    trunk : KnownTrunk
        The original one.
    weights_sha256 : str
        That the result must have.
    origin : mapping
        ``weights_sha256`` of the original trunk, ``res`` and ``rows_sha256`` of what its statistics are of,
        ``norm``, and ``mean`` and ``var`` in base64 of little-endian float32. Kept with the features, and with a
        head.

    Raises
    ------
    CacheError
        When it is loaded: if the statistics are none, or give another trunk.
    """

    @cache
    def load_again() -> Trunk:
        return recalibrate_trunk(trunk.load(), weights_sha256, origin)

    facts = replace(trunk.facts, weights_sha256=weights_sha256, recalibrated=dict(origin))
    return KnownTrunk(facts, load_again)


def recalibrate_trunk(trunk: Trunk, weights_sha256: str, origin: Mapping[str, Any]) -> Trunk:
    """The original trunk with the statistics of `follow_origin`'s ``origin``.

    Raises
    ------
    CacheError
        If the statistics are none, or the result has not the digest it must have.
    """
    try:
        mean, var = (decode_statistics(origin[name]) for name in ("mean", "var"))
        norm = str(origin["norm"])
    except (KeyError, TypeError, ValueError) as error:
        raise CacheError(
            f"found no statistics of a batch norm ({error}); run extract --recalibrate again."
        ) from error
    found = replace_statistics(trunk, norm, mean, var)
    if weights_sha256 not in ("", found.weights_sha256):
        raise CacheError(
            f"{trunk.name} with its statistics replaced is {found.weights_sha256[:12]}, expected "
            f"{weights_sha256[:12]}: they were altered; run extract --recalibrate and fit-head again."
        )
    return found


def replace_statistics(trunk: Trunk, norm: str, mean: NDArray[np.float32], var: NDArray[np.float32]) -> Trunk:
    """The trunk with other running statistics in one batch norm; its parameters are shared, its digest is its own.

    Raises
    ------
    CacheError
        If it has no such batch norm.
    """
    import torch
    from torch import nn

    from .weights import fingerprint_weights

    module = copy.deepcopy(trunk.module, {id(shared): shared for shared in trunk.module.parameters()})
    found = dict(module.named_modules()).get(norm)
    if not isinstance(found, nn.BatchNorm2d) or found.num_features != len(mean):
        raise CacheError(
            f"found no batch norm {norm!r} of {len(mean)} channels in {trunk.name}, on which statistics were "
            "measured; run extract --recalibrate and fit-head again."
        )
    for own, new in ((found.running_mean, mean), (found.running_var, var)):
        if own is not None:
            own.copy_(torch.from_numpy(new.copy()))
    return replace(trunk, module=module, weights_sha256=fingerprint_weights(module.state_dict()))


def encode_statistics(values: NDArray[np.float32]) -> str:
    """Base64 of float32 values, little-endian."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def decode_statistics(text: str) -> NDArray[np.float32]:
    """The values that `encode_statistics` was given."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4")
