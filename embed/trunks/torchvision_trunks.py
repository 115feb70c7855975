"""torchvision's trunks; see `embed.trunks.library`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from fixgrid.cache.errors import UsageError

from .preprocess import Preprocess, write_channels
from .source import Headless, TrunkSource

if TYPE_CHECKING:
    from torch import nn

packages = ("torchvision",)
rule = "torchvision 1"

use = """\
import json
import torch
import torchvision
from safetensors.torch import load_file

record = json.load(open(RECORD))
model = torchvision.models.get_model(record["architecture"], num_classes=record["num_classes"]).eval()
model.load_state_dict(load_file(FILE))
mean, std = (torch.tensor(record["pretrained_cfg"][name]) for name in ("mean", "std"))
pixels = torch.tensor(crop(read_rgb(PHOTO)))[None]  # uint8 (1, RES, RES, 3)
batch = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
classes = record["pretrained_cfg"]["label_names"]
answers = torch.softmax(model(batch) / record["temperature"], dim=1)
"""

FIXED = ("vit_", "maxvit_")
"""Families whose positions or windows are cut for one size; Swin's are padded to any."""


def list_names() -> list[str]:
    """See `embed.trunks.library.Library`."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def find(model: str) -> TrunkSource:
    """See `embed.trunks.library.Library`."""
    import torchvision

    name, _, tag = model.partition(".")
    choices = torchvision.models.get_model_weights(name)
    if tag and tag not in choices.__members__:
        raise UsageError(f"torchvision has no weights {model}: choose from {', '.join(choices.__members__)}")
    weights = choices[tag] if tag else choices.DEFAULT
    view = weights.transforms()
    crop, resize = view.crop_size[0], view.resize_size[0]
    return TrunkSource(
        architecture=f"torchvision:{name}",
        weights=weights.url,
        preprocess=Preprocess(
            mean=write_channels(view.mean),
            std=write_channels(view.std),
            interpolation=view.interpolation.value,
            # Rounded down, so that floor(crop / ratio) is the published resize: 232 for 224 / 232.
            crop_ratio=str(math.floor(crop / resize * 1e6) / 1e6),
            native_res=crop,
            fixed_size=name.startswith(FIXED),
        ),
        imagenet_labels=len(weights.meta["categories"]) == 1000,
    )


def build(model: str) -> Headless:
    """See `embed.trunks.library.Library`."""
    from torch import nn

    module = _build_published(model)
    linears = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linears:
        raise UsageError(f"torchvision:{model} does not end in a linear classifier: choose another trunk")
    name, classifier = linears[-1]
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, nn.Identity())
    if hasattr(module, "transform_input"):
        # googlenet and inception_v3: their published weights expect it
        module.transform_input = True  # type: ignore[assignment]
    return Headless(module, classifier.in_features, (name,))


def fit(module: nn.Module, model: str, res: int) -> nn.Module:
    """See `embed.trunks.library.Library`: `interpolate_embeddings` is torchvision's own.

    MaxViT's biases belong to windows of 7 x 7 cells at every size.
    """
    from torch import nn
    from torchvision.models import MaxVit, VisionTransformer, get_model
    from torchvision.models.vision_transformer import interpolate_embeddings

    if isinstance(module, VisionTransformer):
        fitted: nn.Module = get_model(model, weights=None, image_size=res)
        fitted.heads = nn.Identity() if isinstance(module.heads, nn.Identity) else module.heads
        fitted.load_state_dict(interpolate_embeddings(res, module.patch_size, module.state_dict()))
        return fitted
    if isinstance(module, MaxVit):
        fitted = get_model(model, weights=None, input_size=(res, res))
        fitted.classifier = module.classifier
        fitted.load_state_dict(module.state_dict())
        return fitted
    raise ValueError("torchvision resamples no weights of this family")


def _build_published(model: str) -> nn.Module:
    from torchvision.models import get_model
    from torchvision.models.resnet import Bottleneck, ResNet

    if model == "resnext101_32x48d":  # torchvision has the class but not this member of its family
        return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=48)  # type: ignore[no-any-return]
    return get_model(model, weights=None)  # type: ignore[no-any-return]


def load(source: TrunkSource) -> Path:
    """File of the published weights; see `embed.trunks.library.Library`."""
    from .weights import fetch_weights

    return fetch_weights(source.weights)


def locate(source: TrunkSource) -> Path | None:
    """See `embed.trunks.library.Library`."""
    from .weights import place_weights

    file = place_weights(source.weights)
    return file if file.is_file() else None


def build_whole(model: str, n_classes: int) -> nn.Module:
    """See `embed.trunks.library.Library`."""
    from torchvision.models import get_model

    return get_model(model, weights=None, num_classes=n_classes)  # type: ignore[no-any-return]
