"""Vision models of transformers with the methods of timm's: tokens, and what is pooled of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Family:
    """What is known of a type of model.

    Attributes
    ----------
    prefix_tokens : int or None
        Tokens before those of patches, registers apart; None if it is no plain vision transformer.
    fixed_size : bool
        Whether positions are cut for one size, and ``forward`` resamples them when asked.
    options : mapping
        Arguments beside the configuration.
    """

    prefix_tokens: int | None = None
    fixed_size: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


_WITHOUT_POOLER = {"add_pooling_layer": False}  # most checkpoints have none, and its weights would be random

FAMILIES = {
    "vit": Family(1, True, _WITHOUT_POOLER),
    "deit": Family(2, True, _WITHOUT_POOLER),
    "vit_msn": Family(1, True),
    "ijepa": Family(0, True, _WITHOUT_POOLER),
    "dinov2": Family(1),
    "dinov2_with_registers": Family(1),
    "dinov3_vit": Family(1),
    "dinov3_convnext": Family(1),
    "clip_vision_model": Family(1, True),
    "siglip_vision_model": Family(0, True),
    "beit": Family(1, True),
    "swin": Family(),
    "swinv2": Family(),
    "convnext": Family(),
    "convnextv2": Family(),
    "resnet": Family(),
}
"""The types that are taken; each gives what transformers calls ``pooler_output``, or the CLS token."""


class VisionModel(nn.Module):
    """A vision model of transformers; float32 (B, 3, R, R), normalised, to float32 (B, dim).

    Parameters
    ----------
    kind : str
        One of `FAMILIES`.
    settings : mapping
        What its configuration says that is not the type's default.
    """

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        import torch

        super().__init__()
        auto: Any = import_module("transformers")
        family = FAMILIES[kind]
        config = auto.AutoConfig.for_model(kind, **settings)
        config.dtype = torch.float32
        self.options = dict(family.options)
        self.model = auto.AutoModel.from_config(config, **self.options)
        self.dim = getattr(config, "hidden_size", None) or config.hidden_sizes[-1]
        self.num_prefix_tokens = (family.prefix_tokens or 0) + (getattr(config, "num_register_tokens", 0) or 0)
        self.resamples = False
        patch = 1 if family.prefix_tokens is None else getattr(config, "patch_size", 1)
        self.patch = patch if isinstance(patch, int) else patch[0]

    @property
    def patch_embed(self) -> SimpleNamespace:
        """Size of the patches, px; 1 if images of any size are taken."""
        return SimpleNamespace(patch_size=self.patch)

    def forward(self, x: Tensor) -> Tensor:
        """What is pooled, float32 (B, dim)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Tokens (B, N, C) or a map (B, C, H, W): ``last_hidden_state``."""
        if int(x.shape[-1]) % self.patch:
            raise ValueError(f"patches are {self.patch} px")  # the rest would be cut off without a word
        options = {"interpolate_pos_encoding": True} if self.resamples else {}
        return self.model(pixel_values=x, **options).last_hidden_state  # type: ignore[no-any-return]

    def forward_head(self, tokens: Tensor, pre_logits: bool = True) -> Tensor:
        """``pooler_output`` of `forward_features`, (B, dim), or the CLS token where there is none."""
        model: Any = getattr(self.model, "vision_model", self.model)
        pooler = getattr(model, "pooler", None)
        if tokens.ndim == 4:
            return pooler(tokens).flatten(1) if pooler else model.layernorm(tokens.mean((-2, -1)))  # type: ignore[no-any-return]
        if hasattr(model, "head"):  # SigLIP's attention
            return model.head(tokens)  # type: ignore[no-any-return]
        if hasattr(model, "post_layernorm"):  # CLIP's
            return model.post_layernorm(tokens[:, 0])  # type: ignore[no-any-return]
        if isinstance(pooler, nn.AdaptiveAvgPool1d):  # Swin's
            return tokens.mean(1)
        if pooler is not None:
            return pooler(tokens)  # type: ignore[no-any-return]
        return tokens[:, 0] if self.num_prefix_tokens else tokens.mean(1)
