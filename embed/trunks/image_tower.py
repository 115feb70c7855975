"""open_clip's image towers with the methods of timm's models: tokens, what is pooled, and its projection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from fixgrid.cache.errors import UsageError


class ImageTower(nn.Module):
    """An image tower whose output is not projected; its names in a state dict are those of open_clip's checkpoints.

    Float32 (B, 3, R, R), normalised, to float32 (B, dim).

    Attributes
    ----------
    visual : nn.Module
        open_clip's.
    dim : int
        D of the features before the projection.
    num_prefix_tokens : int
        Tokens before those of patches.
    """

    def __init__(self, visual: Any, dim: int, num_prefix_tokens: int) -> None:
        super().__init__()
        self.visual = visual
        self.dim = dim
        self.num_prefix_tokens = num_prefix_tokens

    def forward(self, x: Tensor) -> Tensor:
        """Features before the projection, float32 (B, dim)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Tokens (B, N, C) or a map (B, C, H, W)."""
        raise NotImplementedError

    def forward_head(self, tokens: Tensor, pre_logits: bool = True) -> Tensor:
        """What is pooled of `forward_features`, (B, dim)."""
        raise NotImplementedError

    def project(self, pooled: Tensor) -> Tensor:
        """Features in the space that is shared with texts, (B, P), of `forward_head`."""
        raise NotImplementedError


class VisionTower(ImageTower):
    """open_clip's own vision transformer; its parts have timm's names, too."""

    @property
    def patch_embed(self) -> SimpleNamespace:
        """Size of the patches, px."""
        return SimpleNamespace(patch_size=self.visual.patch_size)

    @property
    def blocks(self) -> nn.Module:
        """The transformer's blocks."""
        return self.visual.transformer.resblocks  # type: ignore[no-any-return]

    @property
    def norm(self) -> nn.Module:
        """What follows the last block."""
        return self.visual.ln_post  # type: ignore[no-any-return]

    def forward_features(self, x: Tensor) -> Tensor:
        """Tokens (B, 1 + N, C), normalised last unless that is done after pooling."""
        tokens: Tensor = self.visual.transformer(self.visual._embeds(x))
        late = self.visual.attn_pool is not None or self.visual.final_ln_after_pool
        return tokens if late else self.visual.ln_post(tokens)

    def forward_head(self, tokens: Tensor, pre_logits: bool = True) -> Tensor:
        """See `ImageTower`."""
        late = self.visual.attn_pool is not None or self.visual.final_ln_after_pool
        pooled, _ = self.visual._pool(tokens) if late else self.visual._global_pool(tokens)
        return pooled  # type: ignore[no-any-return]

    def project(self, pooled: Tensor) -> Tensor:
        """See `ImageTower`."""
        return pooled @ self.visual.proj  # type: ignore[no-any-return]


class ResNetTower(ImageTower):
    """OpenAI's ResNet, whose attention pool ends in the projection: what is pooled is projected already."""

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W)."""
        visual = self.visual
        return visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(x)))))  # type: ignore[no-any-return]

    def forward_head(self, tokens: Tensor, pre_logits: bool = True) -> Tensor:
        """See `ImageTower`."""
        return self.visual.attnpool(tokens)  # type: ignore[no-any-return]

    def project(self, pooled: Tensor) -> Tensor:
        """The same."""
        return pooled


class TimmTower(ImageTower):
    """timm's model in open_clip: the projection is its classifier, or what open_clip puts behind it."""

    def __init__(self, visual: Any, dim: int, num_prefix_tokens: int) -> None:
        super().__init__(visual, dim, num_prefix_tokens)
        self.output_fmt = getattr(visual.trunk, "output_fmt", "NCHW")
        self._pools = len(visual.head) > 0 and next(iter(dict(visual.head.named_children()))) == "pool"

    def forward_features(self, x: Tensor) -> Tensor:
        """As timm's model gives it."""
        return self.visual.trunk.forward_features(x)  # type: ignore[no-any-return]

    def forward_head(self, tokens: Tensor, pre_logits: bool = True) -> Tensor:
        """See `ImageTower`."""
        pooled: Tensor = self.visual.trunk.forward_head(tokens, pre_logits=True)
        return self.visual.head[0](pooled) if self._pools else pooled

    def project(self, pooled: Tensor) -> Tensor:
        """See `ImageTower`."""
        if not self._pools:
            pooled = self.visual.trunk.get_classifier()(pooled)
        return self.visual.head[int(self._pools) :](pooled)  # type: ignore[no-any-return]


def wrap_tower(visual: Any) -> ImageTower:
    """An image tower of open_clip with timm's methods.

    Raises
    ------
    UsageError
        If it is of a kind that gives no single vector for an image.
    """
    if hasattr(visual, "trunk"):
        trunk = visual.trunk
        dim = getattr(trunk, "head_hidden_size", None) or trunk.num_features
        tower = TimmTower(visual, dim, getattr(trunk, "num_prefix_tokens", 0))
        if tower._pools:
            tower.dim = visual.head[0].out_features
        return tower
    if hasattr(visual, "attnpool"):
        return ResNetTower(visual, visual.output_dim, 0)
    if getattr(visual, "attn_pool_contrastive", None) is not None or visual.pool_type not in ("tok", "avg"):
        raise UsageError("found a tower of open_clip that pools no single vector; choose another trunk.")
    return VisionTower(visual, visual.proj.shape[0], 1)
