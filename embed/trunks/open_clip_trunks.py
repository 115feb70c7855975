"""Image towers of open_clip: ``open_clip:MODEL/TAG``, ``open_clip:hf-hub:ORG/NAME``, ``open_clip:local-dir:PATH``.

Only the image tower is built and read. Its features are those before the projection into the space that it shares
with the text tower; `project` gives those after it.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fixgrid.cache.errors import DataError, UsageError

from .hub import fetch_file, find_file
from .library import import_extra
from .preprocess import Preprocess, write_channels
from .source import Headless, TrunkSource

if TYPE_CHECKING:
    from torch import nn

packages = ("open_clip_torch", "timm")

use = ""
"""No state dict is written under its names: `build_whole` has no classifier."""

rule = "open_clip 1"
"""Positions are resampled by ``open_clip.model.resize_pos_embed``, those of timm's towers by ``set_input_size``."""

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin")

TEXT = (
    "transformer", "token_embedding", "ln_final", "text", "text_decoder", "positional_embedding",
    "text_projection", "logit_scale", "logit_bias",
)  # fmt: skip
"""What a checkpoint holds beside its image tower, ``visual``."""


def list_names() -> list[str]:
    """None: they are open_clip's to list, which may not be installed."""
    return []


class _Described(NamedTuple):
    """A model by its configuration, what that says of pixels, and where its weights are: repository and files."""

    model: str
    config: Mapping[str, Any]
    pixels: Mapping[str, Any]
    place: str
    files: tuple[str, ...] = WEIGHTS


CROP_MODES = {"shortest": "center", "squash": "squash"}
"""What open_clip's ways to resize are called in a view."""


def find(model: str) -> TrunkSource:
    """See `embed.trunks.library.Library`; the configuration of a repository is fetched if it is not here."""
    described = _describe(model)
    side = described.config["vision_cfg"].get("image_size", 224)
    native = side if isinstance(side, int) else side[0]
    pixels = import_extra("open_clip.transform", "open_clip").PreprocessCfg(
        **{
            word: described.pixels[word]
            for word in ("mean", "std", "interpolation", "resize_mode")
            if word in described.pixels
        }
    )
    if pixels.resize_mode not in CROP_MODES:
        raise UsageError(
            f"open_clip:{model} pads images to a square with black, which no view does: choose another trunk."
        )
    return TrunkSource(
        architecture=f"open_clip:{described.model}",
        weights=f"open_clip:{model}" if described.place else "",
        preprocess=Preprocess(
            mean=write_channels(pixels.mean),
            std=write_channels(pixels.std),
            interpolation=pixels.interpolation,
            crop_ratio="1.0",
            native_res=native,
            fixed_size=not _runs_at(described.model, 2 * native),
            crop_mode=CROP_MODES[pixels.resize_mode],
        ),
        imagenet_labels=False,
    )


def _describe(model: str) -> _Described:
    schema, colon, rest = model.partition(":")
    if colon and schema in ("hf-hub", "local-dir"):
        return _read_config(schema, rest)
    open_clip = import_extra("open_clip", "open_clip")
    name, _, tag = model.partition("/")
    config = open_clip.get_model_config(name)
    if config is None:
        close = difflib.get_close_matches(name, open_clip.list_models(), n=4, cutoff=0.4)
        raise UsageError(f"open_clip has no model {name}: did you mean {', '.join(close) or 'MODEL/TAG'}?")
    tags = open_clip.list_pretrained_tags_by_model(name)
    said = open_clip.get_pretrained_cfg(name, tag) if tag else {}
    if tag and not said:
        raise UsageError(f"open_clip has no weights {model}: choose from {', '.join(tags) or 'none'}")
    if (
        said.get("quick_gelu")
        and not config.get("quick_gelu")
        and open_clip.get_pretrained_cfg(f"{name}-quickgelu", tag)
    ):
        raise UsageError(
            f"found {name} for weights that were trained with QuickGELU; give open_clip:{name}-quickgelu/{tag}."
        )
    place, _, file = said.get("hf_hub", "").rpartition("/")
    return _Described(name, config, said, place, (file,) if file else WEIGHTS)


def _read_config(schema: str, place: str) -> _Described:
    """What a folder's or a repository's configuration says.

    Raises
    ------
    UsageError, DataError
        If there is none, or it is not open_clip's.
    """
    if schema == "local-dir":
        place = str(Path(place).expanduser().resolve())
    file = Path(place, CONFIG) if schema == "local-dir" else fetch_file(place, [CONFIG])
    try:
        said = json.loads(file.read_bytes())
        config = {word: said["model_cfg"][word] for word in ("embed_dim", "vision_cfg")}
        config["quick_gelu"] = bool(said["model_cfg"].get("quick_gelu"))
        pixels = said.get("preprocess_cfg") or {}
    except FileNotFoundError as error:
        raise UsageError(f"found no {file}; expected a folder that open_clip's push_to_hf_hub wrote.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is not what open_clip writes ({error!r}); expected model_cfg.") from error
    return _Described(json.dumps(config, sort_keys=True, separators=(",", ":")), config, pixels, place)


def load(source: TrunkSource) -> Path:
    """File of the published weights, both towers'; see `embed.trunks.library.Library`."""
    described = _describe(source.weights.partition(":")[2])
    file = locate(source)
    if file is None and Path(described.place).is_absolute():
        raise UsageError(f"found no weights in {described.place}; expected {WEIGHTS[0]} or {WEIGHTS[1]}.")
    return file or fetch_file(described.place, described.files)


def locate(source: TrunkSource) -> Path | None:
    """See `embed.trunks.library.Library`."""
    described = _describe(source.weights.partition(":")[2])
    if not Path(described.place).is_absolute():
        return find_file(described.place, described.files)
    return next((file for name in WEIGHTS if (file := Path(described.place, name)).is_file()), None)


def build(model: str) -> Headless:
    """See `embed.trunks.library.Library`.

    Parameters
    ----------
    model : str
        Name of a configuration that open_clip has, or JSON of one.
    """
    from .image_tower import wrap_tower

    tower = wrap_tower(_build_visual(_read_model(model)))
    return Headless(tower, tower.dim, TEXT)


def build_whole(model: str, n_classes: int) -> nn.Module:
    """None: open_clip has no classifiers."""
    raise ValueError(f"open_clip has no {model} with a classifier of {n_classes} classes")


def fit(module: nn.Module, model: str, res: int) -> nn.Module:
    """The same weights with positions resampled for images of `res` px, as open_clip does.

    Raises
    ------
    ValueError, AssertionError, RuntimeError
        If it takes no such size.
    """
    visual: Any = module.visual
    if hasattr(visual, "trunk"):
        if not hasattr(visual.trunk, "set_input_size"):
            raise ValueError("timm cannot resample its positions")
        twin = copy.deepcopy(module)
        twin.visual.set_input_size(res)  # type: ignore[union-attr, operator]
        return twin
    if not hasattr(visual, "grid_size"):
        raise ValueError("its attention pool is cut for one size")
    from open_clip.model import resize_pos_embed

    config = _read_model(model)
    twin = build(json.dumps({**config, "vision_cfg": {**config["vision_cfg"], "image_size": res}})).module
    state = dict(module.state_dict())
    resize_pos_embed(state, twin)
    twin.load_state_dict(state)
    return twin.eval().requires_grad_(False)


def _read_model(model: str) -> dict[str, Any]:
    """``embed_dim``, ``vision_cfg`` and ``quick_gelu`` of an architecture."""
    if model.startswith("{"):
        return dict(json.loads(model))
    config = import_extra("open_clip", "open_clip").get_model_config(model)
    if config is None:
        raise UsageError(f"the open_clip that is installed has no model {model}: install the one that had it.")
    return {word: config[word] for word in ("embed_dim", "vision_cfg", "quick_gelu") if word in config}


def _build_visual(config: Mapping[str, Any]) -> nn.Module:
    towers = import_extra("open_clip.model", "open_clip")
    vision = {**config["vision_cfg"], "timm_model_pretrained": False, "output_tokens": False}
    return towers._build_vision_tower(  # type: ignore[no-any-return]
        config["embed_dim"], towers.CLIPVisionCfg(**vision), quick_gelu=config.get("quick_gelu", False)
    )


def _runs_at(model: str, res: int) -> bool:
    import torch

    try:
        with torch.device("meta"), torch.no_grad():
            build(model).module.eval()(torch.empty(1, 3, res, res))
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError):
        return False
    return True
