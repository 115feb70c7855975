"""The MobileNets of README's long tables: timm's architectures, weights beside the project, one's own trunks."""

from __future__ import annotations

from pathlib import Path

import timm
from safetensors.torch import load_file
from timm.models.efficientnet import _gen_mobilenet_v1

from fixgrid import OwnTrunk

_WEIGHTS = Path("../shared/data/trunks")


def _build(name: str, native_res: int = 224) -> OwnTrunk:
    kind, _, width = name.removesuffix("_inat_birds").partition("_")
    if kind == "mobilenetv1":
        module = _gen_mobilenet_v1(
            "mobilenetv1_100", channel_multiplier=int(width) / 100, fix_stem_head=False, pretrained=False,
            num_classes=0, pad_type="same",
        )  # fmt: skip
    else:
        module = timm.create_model("mobilenetv2_100", pretrained=False, num_classes=0, pad_type="same")
    state = load_file(_WEIGHTS / f"{name}.safetensors")
    module.load_state_dict({key: value for key, value in state.items() if not key.startswith("classifier.")})
    half = (0.5, 0.5, 0.5)
    return OwnTrunk(module, mean=half, std=half, interpolation="bilinear", crop_ratio=0.875,
                    native_res=native_res)  # fmt: skip


def mobilenetv1_025() -> OwnTrunk:
    return _build("mobilenetv1_025", 128)


def mobilenetv1_050() -> OwnTrunk:
    return _build("mobilenetv1_050", 160)


def mobilenetv1_075() -> OwnTrunk:
    return _build("mobilenetv1_075", 192)


def mobilenetv1_100() -> OwnTrunk:
    return _build("mobilenetv1_100")


def mobilenetv2_100() -> OwnTrunk:
    return _build("mobilenetv2_100")


def mobilenetv2_100_inat_birds() -> OwnTrunk:
    return _build("mobilenetv2_100_inat_birds")
