"""The trunk as backends run it: pixels as they are decoded in, pooled features out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..trunks.preprocess import Preprocess


class PixelTrunk(nn.Module):
    """A trunk behind its normalisation.

    The normalisation stays explicit: the first convolution's zero padding stands for the mean colour, so
    folding mean and std into its weights would change the border.

    Parameters
    ----------
    module : nn.Module
        Float32 (B, 3, H, W), normalised, to float32 (B, D).
    preprocess : Preprocess
        Mean and std for pixels scaled to 0..1.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, module: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.module = module
        scale, shift = (torch.from_numpy(value).view(1, 3, 1, 1) for value in compute_scale(preprocess))
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.training = module.training  # its own mode alone: a program refuses to be told its

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) -> (B, D); the transposed view is channels_last without a copy."""
        features: Tensor = self.module(pixels.permute(0, 3, 1, 2).float() * self.scale - self.shift)
        return features


def compute_scale(preprocess: Preprocess) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What normalises pixels of 0..255, float32 (3,) each: ``pixels * scale - shift``."""
    mean, std = (np.array(list(map(float, values))) for values in (preprocess.mean, preprocess.std))
    return (1 / (255 * std)).astype(np.float32), (mean / std).astype(np.float32)


def fold_batch_norms(module: nn.Module, example: Tensor) -> int:
    """Merge every batch norm that directly follows a convolution into it, in place; how many were merged.

    Which norm follows which convolution is seen in one forward pass, not guessed from names: the norm's
    input is the very tensor that the convolution returned. Activations inside timm's norms stay.

    Parameters
    ----------
    module : nn.Module
        In eval mode; its convolutions and norms are replaced.
    example : tensor
        Any input that `module` accepts.
    """
    pairs = _watch_pairs(module, example)
    names = {part: name for name, part in module.named_modules()}
    for norm, conv in pairs.items():
        fused = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
        _replace(module, names[conv], fused)
        _replace(module, names[norm], getattr(norm, "act", nn.Identity()))
    return len(pairs)


def _watch_pairs(module: nn.Module, example: Tensor) -> dict[nn.BatchNorm2d, nn.Conv2d]:
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # holds the tensor: a freed one's id would be reused
    pairs: dict[nn.BatchNorm2d, nn.Conv2d] = {}
    calls: dict[nn.Module, int] = {}

    def note(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[part] = calls.get(part, 0) + 1
        if isinstance(part, nn.Conv2d):
            made[id(output)] = part, output
        elif isinstance(part, nn.BatchNorm2d) and id(inputs[0]) in made:
            pairs[part] = made[id(inputs[0])][0]

    watched = [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.BatchNorm2d))]
    hooks = [part.register_forward_hook(note) for part in watched]
    with torch.inference_mode():
        module(example)
    for hook in hooks:
        hook.remove()
    return {norm: conv for norm, conv in pairs.items() if calls[norm] == calls[conv] == 1}


def _replace(root: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(root.get_submodule(parent), child, part)
