"""timm's trunks; see `embed.trunks.library`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fixgrid.cache.errors import UsageError

from .hub import WEIGHTS, expect_hub, find_file
from .preprocess import Preprocess, write_channels
from .source import Headless, TrunkSource

if TYPE_CHECKING:
    from torch import Tensor, nn

packages = ("timm",)
rule = "timm 1"

_IDLE = {"num_classes", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
"""Arguments of ``create_model`` that say nothing of a headless module."""

use = """\
import json
import timm
import torch
from safetensors.torch import load_file

record = json.load(open(RECORD))
model = timm.create_model(record["architecture"], num_classes=record["num_classes"]).eval()
model.load_state_dict(load_file(FILE))
mean, std = (torch.tensor(record["pretrained_cfg"][name]) for name in ("mean", "std"))
pixels = torch.tensor(crop(read_rgb(PHOTO)))[None]  # uint8 (1, RES, RES, 3)
batch = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
classes = record["pretrained_cfg"]["label_names"]
answers = torch.softmax(model(batch) / record["temperature"], dim=1)
"""


def list_names() -> list[str]:
    """See `embed.trunks.library.Library`.

    Without timm's deprecated aliases, some of which lead to other weights than they say: ig_resnext101_32x48d gives
    the 32x8d ones, 88 M parameters instead of 829 M.
    """
    import timm

    return list(timm.list_models())


def find(model: str) -> TrunkSource:
    """See `embed.trunks.library.Library`."""
    import timm

    name = model.partition(".")[0]
    try:
        cfg = timm.get_pretrained_cfg(model)
    except RuntimeError as error:
        tags = [known for known in timm.list_pretrained() if known.startswith(name + ".")]
        raise UsageError(f"timm has no weights {model}: choose from {', '.join(tags) or 'none'}") from error
    sides = cfg.input_size[1:]
    if len(set(sides)) > 1:
        raise UsageError(
            f"timm:{model} is for images of {' x '.join(map(str, sides))} px (height x width); expected square "
            "ones, as every view here is: choose another trunk."
        )
    tagged = f"timm:{name}.{cfg.tag}" if cfg.tag else f"timm:{name}"
    return read_cfg(name, cfg, tagged if cfg.has_weights else "")


def read_cfg(model: str, cfg: Any, weights: str) -> TrunkSource:
    """What timm's configuration of a model, a ``PretrainedCfg``, says of its weights.

    Parameters
    ----------
    model : str
        As `build` takes it.
    cfg : timm's ``PretrainedCfg``
    weights : str
        See `TrunkSource`.
    """
    return TrunkSource(
        architecture=f"timm:{model}",
        weights=weights,
        preprocess=Preprocess(
            mean=write_channels(cfg.mean),
            std=write_channels(cfg.std),
            interpolation=cfg.interpolation,
            crop_ratio=str(cfg.crop_pct),
            native_res=cfg.input_size[-1],
            fixed_size=cfg.fixed_input_size and not _runs_elsewhere(model, cfg.input_size[-1]),
            crop_mode=cfg.crop_mode,
        ),
        imagenet_labels=cfg.num_classes == 1000 or bool(re.search(r"in(1|12|21|22)k", cfg.tag or "")),
    )


def _runs_elsewhere(model: str, native_res: int) -> bool:
    import torch

    from .sizes import runs_elsewhere

    with torch.device("meta"):
        return runs_elsewhere(_create(model, num_classes=0), native_res)


def _create(model: str, **options: Any) -> nn.Module:
    import timm

    name, brace, rest = model.partition("{")
    args = {**(json.loads(brace + rest) if brace else {}), **options}
    return timm.create_model(name, **args)  # type: ignore[no-any-return]


def build(model: str) -> Headless:
    """See `embed.trunks.library.Library`.

    Parameters
    ----------
    model : str
        Name, and behind it as JSON the arguments that ``create_model`` takes besides, if there are any.
    """
    return _describe(_create(model, num_classes=0))


def list_unusual(model: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``create_model`` that make another headless module than its name alone.

    timm writes all of them beside weights, with those that every model of the name has.

    Raises
    ------
    RuntimeError
        If timm has no such model.
    """
    import timm
    import torch

    with torch.device("meta"):
        plain = _create(model)
    usual = {"img_size": timm.get_pretrained_cfg(model).input_size[-2:]}
    if hasattr(timm.models, "get_model_args"):  # since 1.0.31, as its writing them
        usual |= timm.models.get_model_args(plain)
    usual, given = json.loads(json.dumps([usual, args]))
    odd = {word: value for word, value in given.items() if value not in (None, usual.get(word))}
    return {word: value for word, value in odd.items() if word not in _IDLE}


def convert(model: str, cfg: Any, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A checkpoint of the whole model under the model's own names, converted as timm's loader does.

    Parameters
    ----------
    model : str
        As `build` takes it.
    cfg : timm's ``PretrainedCfg``
        Of the checkpoint.
    state : mapping of str to tensor

    Raises
    ------
    RuntimeError, ValueError, TypeError, KeyError
        If the checkpoint is not one of this model.
    """
    overlay: dict[str, Any] = dict.fromkeys(("url", "file", "hf_hub_id", "hf_hub_filename", "source"))
    overlay |= {"state_dict": dict(state), "custom_load": False}
    overlay |= {"num_classes": cfg.num_classes, "label_offset": cfg.label_offset or 0}
    return _create(model, pretrained=True, pretrained_cfg_overlay=overlay).state_dict()


def fit(module: nn.Module, model: str, res: int) -> nn.Module:
    """See `embed.trunks.library.Library`.

    As ``create_model(model, pretrained=True, img_size=res)`` would: built for that size, the native weights loaded
    through the filter by which timm resamples checkpoints of another size.
    """
    fitted = _create(model, num_classes=0, img_size=res)
    adapt = getattr(sys.modules[type(fitted).__module__], "checkpoint_filter_fn", None)
    state = dict(module.state_dict())
    try:
        fitted.load_state_dict(adapt(state, fitted) if adapt else state)
    except RuntimeError as error:
        raise ValueError("timm resamples no weights of this family") from error
    return fitted


def _describe(module: nn.Module) -> Headless:
    classifier = cast(dict[str, object], module.pretrained_cfg).get("classifier") or ()
    names = (classifier,) if isinstance(classifier, str) else tuple(cast(tuple[str, ...], classifier))
    kept = "\n".join(("", *module.state_dict()))
    # In LeViT and EfficientViT a norm is part of the classifier: nothing is left of what holds both.
    parents = {name: name.rpartition(".")[0] for name in names}
    names = tuple(up if up and f"\n{up}." not in kept else name for name, up in parents.items())
    dim = getattr(module, "head_hidden_size", None) or module.num_features
    return Headless(module, cast(int, dim), names)


def load(source: TrunkSource) -> Headless:
    """By timm's own loader: some of its checkpoints need the conversion that only it knows.

    Raises
    ------
    UsageError
        If they are not here and cannot be downloaded.
    """
    import timm

    model = source.weights.removeprefix("timm:")
    here = find_hub_file(model)
    overlay = {"file": str(here)} if here else None  # what is here is not asked for again
    try:
        if here is None:
            expect_hub()
        module = timm.create_model(model, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    except (OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UsageError(
            f"cannot load the weights {source.weights} ({reason}): check the connection, "
            "or fetch them elsewhere and give --weights FILE"
        ) from error
    return _describe(module)


def locate(source: TrunkSource) -> Path | None:
    """See `embed.trunks.library.Library`."""
    return find_hub_file(source.weights.removeprefix("timm:"))


def build_whole(model: str, n_classes: int) -> nn.Module:
    """See `embed.trunks.library.Library`."""
    return _create(model, num_classes=n_classes)


def find_hub_file(model: str) -> Path | None:
    """The weights file of a timm model that an earlier download left in the hub's cache, or None."""
    import timm

    cfg = timm.get_pretrained_cfg(model)
    names = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else WEIGHTS
    return find_file(cfg.hf_hub_id, names) if cfg.hf_hub_id else None
