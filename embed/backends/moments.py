"""Moments of what a trunk's last batch norm is given, image by image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import View

from ..trunks.library import build_module
from ..trunks.nodes import POOLED
from ..trunks.preprocess import Preprocess
from ..trunks.trunk import assemble
from .pixels import PixelTrunk
from .prepare import ACCELERATOR_BATCH
from .torch_backend import TorchBackend, reuse_large_blocks


def find_last_norm(name: str, module: nn.Module, res: int) -> tuple[str, int]:
    """Name and number of channels of the batch norm that a trunk applies last.

    Parameters
    ----------
    name : str
        Of the trunk, for the message.
    module : nn.Module
        On any device, the meta device included: one image of `res` px runs through it.
    res : int
        px.

    Raises
    ------
    UsageError
        If it has no ``BatchNorm2d`` with running statistics.
    """
    norms = {part: path for path, part in module.named_modules() if isinstance(part, nn.BatchNorm2d)}
    called: list[nn.BatchNorm2d] = []
    hooks = [norm.register_forward_pre_hook(lambda part, _: called.append(part)) for norm in norms]
    example = next(iter(module.parameters())).new_zeros(1, 3, res, res)
    with torch.inference_mode():
        module(example)
    for hook in hooks:
        hook.remove()
    last = next((norm for norm in reversed(called) if norm.running_mean is not None), None)
    if last is None:
        raise UsageError(
            f"found no batch norm in {name}, expected a trunk whose last one can be recalibrated: "
            "run extract without --recalibrate, and try --gap standardize."
        )
    return norms[last], last.num_features


class Moments(nn.Module):
    """A trunk that gives, of each image, mean and variance over the cells that its last batch norm is given.

    Parameters
    ----------
    whole : nn.Module
        Pixels to features.
    norm : nn.Module
        A batch norm in it.
    """

    def __init__(self, whole: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.whole = whole
        self._given = torch.empty(0)
        norm.register_forward_pre_hook(self._note)

    def _note(self, norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._given = given[0]

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) -> (B, 2 C): C means, then C variances, accumulated in float64."""
        self.whole(pixels)
        var, mean = torch.var_mean(self._given.double().flatten(2), dim=2, correction=0)
        return torch.cat([mean, var], dim=1)


@dataclass(frozen=True)
class OpenMoments:
    """What a worker calls for every view it meets: opens the trunk as it was loaded, nothing folded.

    Attributes
    ----------
    architecture : str
        See `embed.trunks.library.build_module`.
    preprocess : Preprocess
    weights : str
        Safetensors file.
    norm : str
        See `find_last_norm`.
    device : str
    threads : int
    library : str
        Module of the architecture's library.
    rule : str
        See `embed.trunks.trunk.Trunk`.
    """

    architecture: str
    preprocess: Preprocess
    weights: str
    norm: str
    device: str
    threads: int
    library: str = ""
    rule: str = ""

    @property
    def folder(self) -> Path:
        """Of the weights, and of nothing else."""
        return Path(self.weights).parent

    def move(self, folder: Path) -> OpenMoments:
        """The same with its weights in another folder, under the same name."""
        return replace(self, weights=str(folder / Path(self.weights).name))

    def __call__(self, view: View) -> TorchBackend:
        """uint8 (B, R, R, 3) -> float32 (B, 2 C); on a CPU one image at a time, so that none depends on another."""
        torch.set_num_threads(self.threads)
        module = build_module(self.architecture, self.library).module
        module.load_state_dict(load_file(self.weights))
        look = "", module, self.architecture, self.preprocess, self.rule, (POOLED,)
        module = assemble(*look, view.res, self.library)
        if self.device == "cpu":
            reuse_large_blocks()
        else:
            torch.backends.cudnn.allow_tf32 = False  # TensorFloat-32 keeps 10 bits: not float32
        whole = PixelTrunk(module, self.preprocess).to(self.device).to(memory_format=torch.channels_last)
        batch = 1 if self.device == "cpu" else ACCELERATOR_BATCH
        return TorchBackend(Moments(whole, module.get_submodule(self.norm)), batch=batch, device=self.device)
