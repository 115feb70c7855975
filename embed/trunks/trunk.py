"""Trunks: frozen networks that turn a normalised batch into pooled features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from fixgrid.cache.errors import UsageError

from .checkpoint import load_checkpoint
from .library import Found, build_meta_module, build_module, find_source, resolve_trunk
from .nodes import POOLED
from .onnx_graph import OnnxModule
from .preprocess import Preprocess
from .sizes import expect_sizes, find_rule, fit_module, name_refusal
from .source import Headless, TrunkSource, is_own
from .tap import Tap, count_widths
from .weights import fingerprint_weights


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
        As its weights were published: float32 (B, 3, H, W), normalised, to pooled features. Eval mode, no
        gradients, no classifier. What runs is `at`.
    preprocess : Preprocess
    dim : int
        Number of features, of all `nodes`.
    weights_sha256 : str
        `fingerprint_weights` of the module's state dict.
    imagenet_labels : bool
        Whether the weights saw ImageNet's labels: images taken from ImageNet would leak.
    nodes : tuple of str
        Kinds of features that it gives, see `embed.trunks.nodes.read_parts`.
    rule : str
        How it runs at other sizes than its own, see `embed.trunks.sizes.find_rule`.
    weights_file : Path or None
        Where the weights were read from, if that is known.
    note : str
        What had to be taken off, or was left out, of a checkpoint; empty if nothing.
    """

    name: str
    architecture: str
    module: nn.Module
    preprocess: Preprocess
    dim: int
    weights_sha256: str
    imagenet_labels: bool
    nodes: tuple[str, ...] = (POOLED,)
    rule: str = ""
    weights_file: Path | None = None
    note: str = ""

    def at(self, res: int) -> nn.Module:
        """What runs on images of `res` px: float32 (B, 3, res, res), normalised, to float32 (B, dim).

        Raises
        ------
        UsageError
            If it takes no images of that size.
        """
        with name_refusal(self.name, res):
            return assemble(self.name, self.module, self.architecture, self.preprocess, self.rule, self.nodes, res)

    def take(self, nodes: Sequence[str]) -> Trunk:
        """The same trunk, giving other kinds of features.

        Raises
        ------
        UsageError
            If it has none of a kind.
        """
        if tuple(nodes) == self.nodes:
            return self
        widths = count_widths(self.name, self.module, nodes, self.preprocess.native_res)
        return replace(self, nodes=tuple(nodes), dim=sum(widths.values()))


def assemble(
    name: str,
    module: nn.Module,
    architecture: str,
    preprocess: Preprocess,
    rule: str,
    nodes: Sequence[str],
    res: int,
    place: str = "",
) -> nn.Module:
    """A trunk's module as it runs at `res` px: fitted to that size, and giving its kinds of features side by side.

    Parameters
    ----------
    name : str
        For messages.
    module : nn.Module
        With its weights, as they were published.
    architecture, preprocess, rule, nodes
        See `Trunk`.
    res : int
        px.
    place : str
        Module of the architecture's library, where this process has no table of libraries.

    Raises
    ------
    RuntimeError, ValueError, ...
        One of `embed.trunks.sizes.REFUSALS`, if it takes no images of that size.
    UsageError
        If it has none of a kind.
    """
    if rule and res != preprocess.native_res:
        module = fit_module(module, architecture, res, place)
    return module if tuple(nodes) == (POOLED,) else Tap(name, module, nodes)


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
    found = resolve_trunk(name)
    source = found.source
    file: Path | None = None
    note = ""
    if random_seed is not None:
        built, labels = _build_random(source.architecture, random_seed), False
    else:
        published = weights or _load_published(name, found)
        if isinstance(published, Path):
            file = published
            built, labels, note = _load_file(source, file)
        else:
            file = found.library.locate(source)
            built, labels = published, source.imagenet_labels
            built.module.eval().requires_grad_(False)
    return Trunk(
        name=found.name,
        architecture=source.architecture,
        module=built.module,
        preprocess=source.preprocess,
        dim=built.dim,
        weights_sha256=fingerprint_weights(built.module.state_dict()),
        imagenet_labels=labels,
        rule=find_rule(source.architecture, source.preprocess),
        weights_file=file,
        note=note,
    )


def _build_random(architecture: str, seed: int) -> Headless:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_module(architecture)


def _load_published(name: str, found: Found) -> Headless | Path:
    if not found.source.weights:
        raise UsageError(f"no weights are published for {name}: give --weights FILE")
    return found.library.load(found.source)


def _load_file(source: TrunkSource, path: Path) -> tuple[Headless, bool, str]:
    """Module with a file's weights, whether the file's own classifier has ImageNet's 1000 classes, and a note."""
    built = build_module(source.architecture)
    state, note = load_checkpoint(built, path, source.architecture)
    heads = tuple(f"{name}." for name in (*built.classifier, "_fc"))
    labels = any(name.startswith(heads) and len(value) == 1000 for name, value in state.items() if value.ndim)
    return built, labels, f"{path}: {note}" if note else ""


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

    Raises
    ------
    UsageError
        If the name is unknown, or the trunk takes no images of that size.
    """
    source = find_source(name)
    side = res or source.preprocess.native_res
    expect_sizes(name, source.architecture, source.preprocess, [side])
    return count_architecture(source.architecture, side, n_classes=n_classes)


def count_architecture(architecture: str, res: int, *, n_classes: int = 0) -> Costs:
    """What `count_costs` says, of a trunk by its architecture.

    Raises
    ------
    UsageError
        If no library can build it, or it takes no images of that size.
    """
    if is_own(architecture):
        raise UsageError(
            f"found no costs of {architecture}, a module of one's own; expected them from an extraction by it: "
            "run that again."
        )
    built = build_meta_module(architecture)
    try:
        return count_module(architecture, built.module, built.dim, res, n_classes=n_classes)
    except UsageError:
        with name_refusal(architecture, res):
            fitted = fit_module(built.module, architecture, res)
        return count_module(architecture, fitted, built.dim, res, n_classes=n_classes)


def count_module(name: str, module: nn.Module, dim: int, res: int, *, n_classes: int = 0) -> Costs:
    """What `count_costs` says, of a module on any device, the meta device included.

    Parameters
    ----------
    name : str
        For the message.
    module : nn.Module
    dim : int
        D of its features.
    res : int
        Side of the square input (px).
    n_classes : int

    Raises
    ------
    UsageError
        If it takes no images of that size.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), name_refusal(name, res):
        if isinstance(module, OnnxModule):
            macs = module.count_macs(res)
        else:
            device = next((tensor.device for tensor in module.state_dict().values()), "cpu")
            with FlopCounterMode(display=False) as counter:
                module(torch.zeros(1, 3, res, res, device=device))
            macs = counter.get_total_flops() // 2
    trained = (dim + 1) * n_classes
    parameters = sum(parameter.numel() for parameter in module.parameters()) + trained
    return Costs(parameters, trained, macs + dim * n_classes)
