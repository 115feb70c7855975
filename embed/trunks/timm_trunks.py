"""timm's trunks; see `embed.trunks.library`."""

from __future__ import annotations

import re
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from fixgrid.cache.errors import UsageError

from .preprocess import Preprocess, write_channels
from .source import Headless, TrunkSource

if TYPE_CHECKING:
    from torch import nn

packages = ("timm",)
rule = "timm 1"

use = """\
import json
import timm
import torch
from safetensors.torch import load_file

record = json.load(open(RECORD))
model = timm.create_model(record["architecture"], num_classes=record["num_classes"]).eval()
model.load_state_dict(load_file(FILE))
transform = timm.data.create_transform(**timm.data.resolve_data_config(record["pretrained_cfg"]))
# batch = transform(image)[None]
probabilities = torch.softmax(model(batch) / record["temperature"], dim=1)
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
    published, sides = cfg.has_weights, cfg.input_size[1:]
    if len(set(sides)) > 1:
        raise UsageError(
            f"timm:{model} is for images of {' x '.join(map(str, sides))} px (height x width); expected square "
            "ones, as every view here is: choose another trunk."
        )
    return TrunkSource(
        architecture=f"timm:{name}",
        weights=f"timm:{name}.{cfg.tag}" if published and cfg.tag else f"timm:{name}" if published else "",
        preprocess=Preprocess(
            mean=write_channels(cfg.mean),
            std=write_channels(cfg.std),
            interpolation=cfg.interpolation,
            crop_ratio=str(cfg.crop_pct),
            native_res=cfg.input_size[-1],
            fixed_size=cfg.fixed_input_size and not _runs_elsewhere(name, cfg.input_size[-1]),
            crop_mode=cfg.crop_mode,
        ),
        imagenet_labels=cfg.num_classes == 1000 or bool(re.search(r"in(1|12|21|22)k", cfg.tag or "")),
    )


def _runs_elsewhere(model: str, native_res: int) -> bool:
    import timm
    import torch

    from .sizes import runs_elsewhere

    with torch.device("meta"):
        return runs_elsewhere(timm.create_model(model, pretrained=False, num_classes=0), native_res)


def build(model: str) -> Headless:
    """See `embed.trunks.library.Library`."""
    import timm

    return _describe(timm.create_model(model, pretrained=False, num_classes=0))


def fit(module: nn.Module, model: str, res: int) -> nn.Module:
    """See `embed.trunks.library.Library`.

    As ``create_model(model, pretrained=True, img_size=res)`` would: built for that size, the native weights loaded
    through the filter by which timm resamples checkpoints of another size.
    """
    import timm

    fitted: nn.Module = timm.create_model(model, pretrained=False, num_classes=0, img_size=res)
    adapt = getattr(sys.modules[type(fitted).__module__], "checkpoint_filter_fn", None)
    state = dict(module.state_dict())
    fitted.load_state_dict(adapt(state, fitted) if adapt else state)
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


def is_here(source: TrunkSource) -> bool:
    """See `embed.trunks.library.Library`."""
    return find_hub_file(source.weights.removeprefix("timm:")) is not None


def build_whole(model: str, n_classes: int) -> nn.Module:
    """See `embed.trunks.library.Library`."""
    import timm

    return timm.create_model(model, pretrained=False, num_classes=n_classes)  # type: ignore[no-any-return]


def expect_hub(timeout_s: float = 10.0) -> None:
    """Nothing, if the hub that timm downloads from answers one request, through a proxy if one is set.

    The hub's own client repeats a request six times with pauses, for each of two file names: 47 s without a
    network, and no setting shortens it. One that answers within `timeout_s`, which is the client's own limit,
    keeps every repeat.

    Raises
    ------
    OSError
        If it does not answer.
    """
    from huggingface_hub.constants import ENDPOINT

    try:
        with urlopen(Request(ENDPOINT, method="HEAD"), timeout=timeout_s):
            return
    except HTTPError:
        return  # it answered
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # the hub's client may trust more
            raise


def find_hub_file(model: str) -> Path | None:
    """The weights file of a timm model that an earlier download left in the hub's cache, or None."""
    import timm
    from huggingface_hub import try_to_load_from_cache

    cfg = timm.get_pretrained_cfg(model)
    names = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else ("model.safetensors", "pytorch_model.bin")
    for name in names if cfg.hf_hub_id else ():
        found = try_to_load_from_cache(cfg.hf_hub_id, name)
        if isinstance(found, str):
            return Path(found)
    return None
