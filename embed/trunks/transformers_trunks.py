"""Vision models of transformers: ``transformers:ORG/NAME[@REVISION]`` and ``transformers:FOLDER``.

Of a model that sees texts, too, only the vision tower is built and read. No code that comes with weights is run.
"""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fixgrid.cache.errors import DataError, UsageError

from .hub import fetch_file, find_file
from .library import import_extra
from .preprocess import Preprocess, write_channels
from .source import Headless, TrunkSource

if TYPE_CHECKING:
    from torch import nn

packages = ("transformers",)

use = ""
"""No state dict is written under its names: `build_whole` has no classifier."""

rule = "transformers 1"
"""Positions are resampled in ``forward``, by ``interpolate_pos_encoding=True``."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
"""What weights are called, in the order in which they are looked for; the second names the parts of the first."""

LOOKS = ("preprocessor_config.json", "processor_config.json")

INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers, which the processors' configurations have."""

_IDLE = {
    "architectures", "auto_map", "dtype", "id2label", "label2id", "model_type", "num_labels", "problem_type",
    "torch_dtype", "transformers_version", "_name_or_path", "use_cache", "return_dict", "output_attentions",
    "output_hidden_states", "out_features", "out_indices", "stage_names", "initializer_range",
}  # fmt: skip
"""What a configuration says that changes no feature."""


def list_names() -> list[str]:
    """None: any repository or folder may hold a model."""
    return []


class _Described(NamedTuple):
    """The vision model as `build` takes it, its configuration, and where it was found."""

    model: str
    config: Any
    labels: int
    place: str


def _open() -> Any:
    """transformers, silent unless the user's own code has imported it before."""
    silent = "transformers" not in sys.modules
    library = import_extra("transformers", "transformers")
    if silent:
        library.logging.set_verbosity_error()
        library.logging.disable_progress_bar()
    return library


def find(model: str) -> TrunkSource:
    """See `embed.trunks.library.Library`; a repository's configurations are fetched if they are not here."""
    from .vision_model import FAMILIES

    described = _describe(model)
    family = FAMILIES[described.config.model_type]
    preprocess = _read_look(described.place)
    if family.fixed_size:
        side = described.config.image_size
        native = side if isinstance(side, int) else side[0]
        preprocess = replace(preprocess, native_res=native, fixed_size=True)
    return TrunkSource(
        architecture=f"transformers:{described.model}",
        weights=f"transformers:{model}",
        preprocess=preprocess,
        imagenet_labels=described.labels == 1000,
    )


def _describe(place: str) -> _Described:
    """What config.json says.

    Raises
    ------
    UsageError, DataError
        If there is none, or it is not that of a vision model known here.
    """
    from .vision_model import FAMILIES

    auto = _open().AutoConfig
    file = _fetch(place, ["config.json"])
    try:
        said = json.loads(file.read_bytes())
        if "architecture" in said:
            raise UsageError(
                f"found a timm model in {file}, expected one of transformers: give {_name_timm(place)}."
            )
        whole = auto.from_pretrained(str(file.parent), trust_remote_code=False)
        inner = said.get("vision_config")
        config = whole.vision_config if inner else whole
        known, usual = config.to_dict(), type(config)().to_dict()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is not that of a vision model of transformers ({_first_line(error)}).") from error
    if config.model_type not in FAMILIES:
        raise UsageError(
            f"found a model of type {config.model_type} in {file}; expected one of {', '.join(FAMILIES)}: choose "
            "another trunk."
        )
    # As the file says it: what a later version of transformers adds or writes otherwise makes no other key.
    kept = {word: value for word, value in (inner or said).items() if word in known.keys() - _IDLE}
    unusual = {word: value for word, value in kept.items() if value != usual.get(word)}
    text = config.model_type + (json.dumps(unusual, sort_keys=True, separators=(",", ":")) if unusual else "")
    labels = len(said.get("id2label") or ()) or int(said.get("num_labels") or 0)
    return _Described(text, config, labels, place)


def _name_timm(place: str) -> str:
    return f"{'local-dir' if _is_folder(place) else 'hf-hub'}:{place}"


def _read_look(place: str) -> Preprocess:
    """What the image processor's configuration says of pixels.

    Raises
    ------
    UsageError, DataError
        If there is none, or it says something that no view of fixgrid is.
    """
    file = _fetch(place, LOOKS)
    auto = _open().AutoImageProcessor
    try:
        look = auto.from_pretrained(str(file.parent), trust_remote_code=False)
        size, crop = _read_sides(look.size), _read_sides(getattr(look, "crop_size", None))
        crops = bool(getattr(look, "do_center_crop", False))
        short = size.get("shortest_edge") or size["height"]
        native = int(crop["height"] if crops else short)
        pct = getattr(look, "crop_pct", None)  # ConvNeXt's processor crops below 384 px alone
        squashes = "height" in size or (pct is not None and native >= 384)
        ratio = native / short if crops else 1.0 if squashes else float(pct or 1)
        normalises = getattr(look, "do_normalize", True)
        return Preprocess(
            mean=write_channels(look.image_mean if normalises else (0, 0, 0)),
            std=write_channels(look.image_std if normalises else (1, 1, 1)),
            interpolation=INTERPOLATIONS[int(look.resample)],
            crop_ratio=str(_floor(ratio)),
            native_res=native,
            crop_mode="squash" if squashes else "center",
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise DataError(f"{file} is not that of an image processor ({_first_line(error)}).") from error


def _read_sides(size: Any) -> dict[str, int]:
    if isinstance(size, int):
        return {"height": size, "width": size}
    return {word: int(value) for word, value in dict(size or {}).items() if value is not None}


def _floor(ratio: float) -> float:
    """Rounded down, so that floor(crop / ratio) is the published resize: 256 for 224 / 256."""
    return int(ratio * 1e6) / 1e6


def load(source: TrunkSource) -> Headless:
    """The file's weights, converted as transformers' loader does; nothing in it is executed.

    Raises
    ------
    UsageError
        If they are not here and cannot be fetched.
    DataError
        If they cannot be read, or are not this model's.
    """
    import torch

    from .checkpoint import check_tensors
    from .weights import read_weights

    place = source.weights.partition(":")[2]
    described = _describe(place)
    file = _fetch(place, WEIGHTS)
    parts = [file]
    if file.name.endswith(".index.json"):
        names = sorted(set(json.loads(file.read_bytes())["weight_map"].values()))
        parts = [_fetch(place, [name]) for name in names]
    state = {name: value for part in parts for name, value in read_weights(part)[0].tensors.items()}
    check_tensors(file, state)
    built = build(described.model)
    wrapper: Any = built.module
    try:
        wrapper.model, report = type(wrapper.model).from_pretrained(
            None,
            config=wrapper.model.config,
            state_dict=state,
            dtype=torch.float32,
            output_loading_info=True,
            **wrapper.options,
        )
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(
            f"{file} cannot be read as {described.config.model_type} ({_first_line(error)})."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise DataError(
            f"{file} lacks {len(missing)} tensors of {described.config.model_type} ({', '.join(missing[:3])}); "
            "expected the model that its config.json says."
        )
    return built


def locate(source: TrunkSource) -> Path | None:
    """See `embed.trunks.library.Library`."""
    return _find(source.weights.partition(":")[2], WEIGHTS)


def _is_folder(place: str) -> bool:
    return Path(place).is_absolute()


def _find(place: str, names: tuple[str, ...] | list[str]) -> Path | None:
    if not _is_folder(place):
        return find_file(place, names)
    return next((file for name in names if (file := Path(place, name)).is_file()), None)


def _fetch(place: str, names: tuple[str, ...] | list[str]) -> Path:
    """A folder's file, or a repository's.

    Raises
    ------
    UsageError
        If there is none.
    """
    if not _is_folder(place):
        return fetch_file(place, names)
    file = _find(place, names)
    if file is None:
        raise UsageError(f"found no {' or '.join(names)} in {place}; expected a folder that save_pretrained wrote.")
    return file


def build(model: str) -> Headless:
    """See `embed.trunks.library.Library`.

    Parameters
    ----------
    model : str
        The type of a vision model, and behind it as JSON what its configuration says besides.
    """
    from .vision_model import VisionModel

    _open()
    kind, brace, rest = model.partition("{")
    module = VisionModel(kind, json.loads(brace + rest) if brace else {})
    return Headless(module, module.dim, ("classifier", "head", "visual_projection"))


def build_whole(model: str, n_classes: int) -> nn.Module:
    """None: the classifiers of transformers see other features than a trunk's."""
    raise ValueError(f"no transformers model is {model.partition('{')[0]} and a linear head of {n_classes} classes")


def fit(module: nn.Module, model: str, res: int) -> nn.Module:
    """The same module, which resamples its positions in every pass."""
    twin: Any = copy.copy(module)
    twin.resamples = True
    return twin  # type: ignore[no-any-return]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
