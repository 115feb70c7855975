"""Several kinds of features from one pass of a trunk: hooks on its layers, and timm's words for its last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from fixgrid.cache.errors import UsageError

from .nodes import POOLED, Part, read_parts
from .sizes import name_refusal

GEM_P, GEM_EPS = 3.0, 1e-6
"""Exponent, and the least value of a cell, of the generalised mean (Radenovic et al. 2018, equation 3)."""


class Tap(nn.Module):
    """A trunk that gives the kinds of features that are asked for, side by side.

    What is not in a layer that is named is asked of the module by timm's words: ``forward_features`` gives tokens
    (B, N, C), of which the first ``num_prefix_tokens`` are no patches, or a map (B, C, H, W), or (B, H, W, C) where
    ``output_fmt`` says NHWC; ``forward_head`` makes the pooled features of it, and ``project`` another space's.

    Parameters
    ----------
    module : nn.Module
        Float32 (B, 3, R, R), normalised, to pooled features (B, D).
    nodes : sequence of str
        See `embed.trunks.nodes.read_parts`.

    Raises
    ------
    UsageError
        If the module has no such layer, or nothing of that kind.
    """

    def __init__(self, name: str, module: nn.Module, nodes: Sequence[str]) -> None:
        super().__init__()
        self.name, self.module = name, module
        self.parts = [(node, read_parts(node)) for node in nodes]
        parts = [part for _, found in self.parts for part in found]
        self._layers = {part.layer: self._find_layer(part.layer) for part in parts if part.layer}
        deepest = max((part.blocks for part in parts), default=0)
        self._last = self._list_blocks(deepest) if deepest else []
        self._whole = any(part.how != POOLED and not part.layer for part in parts)
        self._wants_pooled = any(part.how in (POOLED, "projected") for part in parts)
        if self._whole and not hasattr(module, "forward_features"):
            self._refuse("a last layer of cells that is known", "name one, as in gem@layer4")
        if any(part.how == "projected" for part in parts) and not hasattr(module, "project"):
            self._refuse("a projection", "choose other --features")
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, R, R) -> (B, sum of D)."""
        return torch.cat(self.take(x), dim=1)

    def take(self, x: Tensor) -> list[Tensor]:
        """Each kind by itself: (B, D) for each of the nodes."""
        seen: dict[nn.Module, Tensor] = {}
        with _watch([*self._layers.values(), *self._last], seen):
            cells, pooled = self._run(x)
        return [torch.cat([self._pool(part, cells, pooled, seen) for part in parts], 1) for _, parts in self.parts]

    def _run(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if not self._whole:
            return None, cast(Tensor, self.module(x))
        module = cast(Any, self.module)
        cells = module.forward_features(x)
        return cells, module.forward_head(cells) if self._wants_pooled else None

    def _pool(
        self, part: Part, cells: Tensor | None, pooled: Tensor | None, seen: dict[nn.Module, Tensor]
    ) -> Tensor:
        if part.how == POOLED:
            return cast(Tensor, pooled)
        if part.how == "projected":
            return cast(Tensor, cast(Any, self.module).project(pooled))
        if part.how == "last":
            norm = cast(Callable[[Tensor], Tensor], getattr(self.module, "norm", nn.Identity()))
            last = [norm(seen[block]) for block in self._last[-part.blocks :]]
            return torch.cat([self._pool_cells("cls", tokens) for tokens in last], 1)
        return self._pool_cells(part.how, seen[self._layers[part.layer]] if part.layer else cast(Tensor, cells))

    def _pool_cells(self, how: str, cells: Tensor) -> Tensor:
        if cells.ndim == 2:
            self._refuse("cells to pool there, but one vector", "name another layer")
        if cells.ndim == 4:
            if how == "cls":
                self._refuse("a class token", "choose pooled, patch_mean or gem")
            channels_last = "NHWC" in str(getattr(self.module, "output_fmt", ""))
            tokens = cells.flatten(1, 2) if channels_last else cells.flatten(2).transpose(1, 2)
        else:
            prefix = int(cast(int, getattr(self.module, "num_prefix_tokens", 0)))
            if how == "cls":
                if not prefix or getattr(self.module, "cls_token", self) is None:
                    self._refuse("a class token", "choose pooled, patch_mean or gem")
                return cells[:, 0]
            tokens = cells[:, prefix:]
        if how == "gem":
            return tokens.clamp(min=GEM_EPS).pow(GEM_P).mean(1).pow(1 / GEM_P)
        return tokens.mean(1)

    def _find_layer(self, layer: str) -> nn.Module:
        parts = dict(self.module.named_modules())
        if layer not in parts:
            near = [name for name in parts if name and name.count(".") <= layer.count(".")]
            self._refuse(f"a layer {layer!r}", f"choose one of its own, such as {', '.join(near[-4:])}")
        return cast(nn.Module, parts[layer])

    def _list_blocks(self, n: int) -> list[nn.Module]:
        blocks = getattr(self.module, "blocks", None)
        listed = list(blocks) if isinstance(blocks, (nn.Sequential, nn.ModuleList)) else []
        if len(listed) < n or not getattr(self.module, "num_prefix_tokens", 0):
            has = f"{len(listed)} blocks" if listed and len(listed) < n else "no blocks with a class token"
            raise UsageError(f"found {has} in {self.name}, expected {n} for last{n}; choose other --features.")
        return listed[-n:]

    def _refuse(self, lacks: str, cure: str) -> None:
        raise UsageError(f"found no {lacks.removeprefix('a ')} in {self.name}; {cure}.")


@contextmanager
def _watch(layers: Sequence[nn.Module], seen: dict[nn.Module, Tensor]) -> Iterator[None]:
    """Keep what layers give while the trunk runs; the first of several values, if a layer gives several."""

    def keep(layer: nn.Module, _: object, given: Any) -> None:
        seen[layer] = given[0] if isinstance(given, tuple) else given

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def count_widths(name: str, module: nn.Module, nodes: Sequence[str], res: int) -> dict[str, int]:
    """D of each kind of features.

    Parameters
    ----------
    name : str
        Of the trunk, for messages.
    module : nn.Module
        On any device, the meta device included.
    nodes : sequence of str
    res : int
        px of a size that it takes.

    Raises
    ------
    UsageError
        If it has none of a kind.
    """
    device = next((tensor.device for tensor in module.state_dict().values()), "cpu")
    tap = Tap(name, module, nodes)
    with torch.no_grad(), name_refusal(name, res):
        found = tap.take(torch.zeros(1, 3, res, res, device=device))
    return {node: values.shape[1] for node, values in zip(nodes, found, strict=True)}
