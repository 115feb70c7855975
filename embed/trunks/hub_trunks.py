"""timm's trunks by a folder that says all of them: ``hf-hub:ORG/NAME[@REVISION]`` and ``local-dir:PATH``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fixgrid.cache.errors import DataError, UsageError

from . import timm_trunks
from .hub import WEIGHTS, fetch_file, find_file
from .source import Headless, TrunkSource

packages = ("timm",)


def list_names() -> list[str]:
    """None: any repository or folder may hold a trunk."""
    return []


def find(model: str) -> TrunkSource:
    """See `embed.trunks.library.Library`; a repository's config.json is fetched if it is not here."""
    described = _read_config(model)
    return replace(
        timm_trunks.read_cfg(described.model, described.cfg, ""),
        weights=f"local-dir:{model}" if _is_folder(model) else f"hf-hub:{model}",
    )


def load(source: TrunkSource) -> Headless:
    """The file's weights, converted as timm's loader would do; nothing in it is executed.

    Raises
    ------
    UsageError
        If they are not here and cannot be fetched.
    DataError
        If they cannot be read, or are not this model's.
    """
    from .checkpoint import load_states
    from .weights import StateDict, read_weights

    place = source.weights.partition(":")[2]
    described = _read_config(place)
    file = locate(source)
    if file is None:
        if _is_folder(place):
            raise UsageError(f"found no weights in {place}; expected {' or '.join(WEIGHTS)} beside config.json.")
        file = fetch_file(place, WEIGHTS)
    state = read_weights(file)[0].tensors
    built = timm_trunks.build(described.model)
    origin = f"{file} does not fit {source.architecture}, which its config.json names"
    try:
        whole = timm_trunks.convert(described.model, described.cfg, state)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
        raise DataError(f"{origin} ({' '.join(lines[:2])[:160]}).") from error
    load_states(built, [StateDict((), dict(whole))], file, f"{source.architecture}, which its config.json names")
    return built


def locate(source: TrunkSource) -> Path | None:
    """See `embed.trunks.library.Library`."""
    place = source.weights.partition(":")[2]
    if not _is_folder(place):
        return find_file(place, WEIGHTS)
    return next((file for name in WEIGHTS if (file := Path(place, name)).is_file()), None)


def _is_folder(model: str) -> bool:
    """A folder's path is absolute, see `embed.trunks.library.respell`, and no repository's name is."""
    return Path(model).is_absolute()


class _Described(NamedTuple):
    """What config.json says: the model as `timm_trunks.build` takes it, and a ``PretrainedCfg``."""

    model: str
    cfg: Any


def _fetch_config(model: str) -> Path:
    try:
        return fetch_file(model, ["config.json"])
    except UsageError as error:
        raise UsageError(f"{error} A model of transformers is transformers:{model}.") from error


def _read_config(model: str) -> _Described:
    """What a folder's or a repository's config.json says.

    Raises
    ------
    UsageError, DataError
        If there is none, or it is not timm's.
    """
    from timm.models import PretrainedCfg
    from timm.models._hub import load_model_config_from_path

    file = Path(model, "config.json") if _is_folder(model) else _fetch_config(model)
    if not file.is_file():
        raise UsageError(f"found no {file}; expected a folder that timm.models.save_for_hf wrote.")
    try:
        said = json.loads(file.read_bytes())
        if "model_type" in said:
            raise UsageError(f"found a transformers model in {file}, expected timm's: give transformers:{model}.")
        fields, name, args = load_model_config_from_path(file.parent)
        cfg = PretrainedCfg(**fields)
        size = {"img_size": cfg.input_size[-2:]} if cfg.fixed_input_size else {}
        unusual = timm_trunks.list_unusual(name, {**size, **args})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DataError(
            f"{file} is not what timm writes ({reason}); expected architecture and pretrained_cfg."
        ) from error
    if cfg.input_size[0] != 3 or len(cfg.mean) != 3:
        raise DataError(f"{file} is of a model of {cfg.input_size[0]} channels; expected 3, red, green and blue.")
    text = json.dumps(unusual, sort_keys=True, separators=(",", ":")) if unusual else ""
    return _Described(name + text, cfg)
