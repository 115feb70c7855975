"""A user's own module as a trunk: what identifies it, and what it must give.

Features are found again by key, so the key must tell two modules apart whatever they differ in: layers and their
settings, the source of their classes, weights.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import CROP_MODES, INTERPOLATIONS

from .description import Describer
from .identity import KnownTrunk, describe_trunk
from .look import LOOK, expect_one_of, read_channels, read_ratio
from .onnx_graph import OnnxModule
from .preprocess import Preprocess
from .sizes import find_rule, name_refusal, runs_elsewhere
from .source import IMAGENET, OWN
from .trunk import Trunk
from .weights import fingerprint_weights


@dataclass(frozen=True, eq=False)
class OwnTrunk:
    """A user's own module, and what it expects of its input.

    What is not given is what timm says of the module, in ``module.pretrained_cfg``, or else the default.

    Attributes
    ----------
    module : nn.Module
        Float32 (B, 3, R, R), normalised, to float32 (B, D). It is copied, and never changed.
    name : str
        What it is called; its class' name if not given. Not part of any key.
    mean, std : three numbers
        Per channel R, G, B, for pixels scaled to 0..1; ImageNet's by default.
    interpolation : str
        Resampling of the resize; ``bilinear`` by default.
    crop_ratio : float
        Crop side over resized short side; .875 by default.
    crop_mode : {"center", "squash", "border"}
        See `fixgrid.cache.view.View`; ``center`` by default.
    native_res : int
        Resolution (px) that is meant where none is given; 224 by default.
    """

    module: nn.Module
    _: KW_ONLY
    name: str = ""
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    interpolation: str | None = None
    crop_ratio: float | None = None
    native_res: int | None = None
    crop_mode: str | None = None

    @cached_property
    def preprocess(self) -> Preprocess:
        """What the module expects of its input, in the words of keys.

        Raises
        ------
        UsageError
            If mean or std are not three numbers, or another value is none that it can be.
        """
        said = self._said
        fixed = bool(said.get("fixed_input_size"))
        # timm says 224 of a module that was built for another size
        built = getattr(getattr(self.module, "patch_embed", None), "img_size", None) if fixed else None
        sides = built or said.get("input_size")
        native = sides[-1] if isinstance(sides, Sequence) and sides else 224
        res = self.native_res if self.native_res is not None else native
        if not (isinstance(res, int) and res > 0):
            raise UsageError(f"found native_res {res}; expected whole px.")
        look = {name: self._find(name)[0] for name in LOOK}
        return Preprocess(
            mean=read_channels("mean", look["mean"]),
            std=read_channels("std", look["std"]),
            interpolation=expect_one_of("interpolation", look["interpolation"], INTERPOLATIONS),
            crop_ratio=read_ratio(look["crop_ratio"]),
            native_res=res,
            fixed_size=fixed and (isinstance(self.module, OnnxModule) or not runs_elsewhere(self.module, res)),
            crop_mode=expect_one_of("crop_mode", look["crop_mode"], CROP_MODES),
        )

    @property
    def takes_pixels(self) -> bool:
        """Whether it normalises uint8 pixels itself, as a graph may."""
        return isinstance(self.module, OnnxModule) and self.module.images.pixels

    @property
    def origins(self) -> dict[str, str]:
        """Whose word each field of `LOOK` is."""
        return {name: self._find(name)[1] for name in LOOK}

    @property
    def _said(self) -> Mapping[str, object]:
        found = getattr(self.module, "pretrained_cfg", None)
        return found if isinstance(found, Mapping) else {}

    def _find(self, name: str) -> tuple[object, str]:
        given, said = getattr(self, name), self._said.get(_WORDS.get(name, name))
        if given is not None:
            return given, "given with the module"
        return (said, "the module's metadata") if said else (_DEFAULTS[name], "the default of a module")


_WORDS = {"crop_ratio": "crop_pct"}
"""What timm calls a field otherwise."""

_DEFAULTS = {
    "mean": IMAGENET[0],
    "std": IMAGENET[1],
    "interpolation": "bilinear",
    "crop_ratio": "0.875",
    "crop_mode": "center",
}


def identify_own(own: OwnTrunk, weights: str = "") -> KnownTrunk:
    """What a user's module is as a trunk, and how to load it: the copy that was made now, frozen, on the CPU.

    Parameters
    ----------
    own : OwnTrunk
    weights : str
        File that its weights were read from, if they were; not part of any key.

    Raises
    ------
    UsageError
        If it cannot be copied, frozen or run, or does not give float32 (B, D), or the source of its classes cannot
        be read.
    """
    name, preprocess = own.name or type(own.module).__name__, own.preprocess
    try:
        module = copy.deepcopy(own.module).cpu().eval().requires_grad_(False)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise UsageError(f"{name} cannot be copied and frozen ({reason}); expected a plain nn.Module.") from error
    architecture = _name_architecture(name, module)
    trunk = Trunk(
        name=name,
        architecture=architecture,
        module=module,
        preprocess=preprocess,
        dim=_count_features(name, module, preprocess.native_res),
        weights_sha256=fingerprint_weights(module.state_dict()),
        imagenet_labels=False,
        rule=find_rule(architecture, preprocess, module),
    )
    return KnownTrunk(replace(describe_trunk(trunk, weights), origins=own.origins), lambda: trunk)


def _name_architecture(name: str, module: nn.Module) -> str:
    if isinstance(module, OnnxModule):
        return f"{OWN}onnx@{module.digest}"
    lines = "\n".join(Describer(name).describe_module(module))
    return f"{OWN}{type(module).__qualname__}@{hashlib.sha256(lines.encode()).hexdigest()[:16]}"


def _count_features(name: str, module: nn.Module, res: int) -> int:
    """D, seen on two images of noise, which nothing but a batch of two features may come of."""
    pixels = torch.randn(2, 3, res, res, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), name_refusal(name, res):
        found: object = module(pixels)
    if not isinstance(found, Tensor):
        raise UsageError(f"{name} gives a {type(found).__name__}; expected a float32 tensor of shape (B, D).")
    if found.dtype != torch.float32 or found.ndim != 2 or len(found) != 2:
        kind = str(found.dtype).removeprefix("torch.")
        raise UsageError(
            f"{name} gives {kind} of shape {tuple(found.shape)} for 2 images; expected float32 of shape (2, D): "
            "pool its feature maps."
        )
    return found.shape[1]
