"""Trunk and head as a state dict that the trunk's own library loads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fixgrid.cache.disk import commit_bytes
from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import View

from .backends.pixels import PixelTrunk
from .export import Classifier, expect_equal, refuse_export
from .trunks.library import find_use, open_library
from .trunks.weights import part_tensors


def export_state(
    classifier: Classifier, architecture: str, res: int, record: Mapping[str, Any], stem: Path
) -> float:
    """Write ``<stem>.safetensors``, a state dict of trunk and classifier under their library's names, and its JSON.

    Parameters
    ----------
    classifier : Classifier
    architecture : str
        ``LIBRARY:MODEL``, whose model with K classes takes the state dict.
    res : int
        px of the probe.
    record : mapping
        Goes into the JSON.
    stem : Path

    Returns
    -------
    float
        Largest difference of a probability of the model that loaded the file, on the probe.

    Raises
    ------
    UsageError
        If the library's model has other names or shapes, or gives other probabilities.
    DiskError
        If a write fails.
    """
    from safetensors.torch import load, save

    find_use(architecture)  # a library's alone can be opened again
    whole = _build_whole(architecture, len(classifier.head.weight))
    data = save(part_tensors(_join_states(classifier, whole.state_dict(), architecture)))
    whole.load_state_dict(load(data))
    scores = PixelTrunk(whole.eval(), classifier.preprocess)

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return classifier.answer(scores(torch.from_numpy(pixels))).detach().numpy()

    distance = expect_equal(classifier, res, run)
    commit_bytes(stem.with_name(stem.name + ".safetensors"), data)
    text = json.dumps(dict(record), indent=2, sort_keys=True) + "\n"
    commit_bytes(stem.with_name(stem.name + ".json"), text.encode("ascii"))
    return distance


def describe_timm(architecture: str, view: View, classes: Sequence[str], temperature: float) -> dict[str, Any]:
    """The JSON beside a state dict: what to build and how to feed it, in timm's own words."""
    look = {
        "input_size": [3, view.res, view.res],
        "mean": [float(value) for value in view.mean],
        "std": [float(value) for value in view.std],
        "crop_pct": float(view.crop_ratio),
        "crop_mode": view.crop_mode,
        "interpolation": view.interpolation,
        "num_classes": len(classes),
        "label_names": list(classes),
    }
    return {
        "architecture": architecture.partition(":")[2],
        "library": architecture.partition(":")[0],
        "num_classes": len(classes),
        "temperature": temperature,
        "pretrained_cfg": look,
    }


def _build_whole(architecture: str, n_classes: int) -> nn.Module:
    """The library's own model with a classifier of K classes."""
    prefix, _, model = architecture.partition(":")
    try:
        return open_library(prefix).build_whole(model, n_classes)
    except (ValueError, TypeError) as error:
        raise refuse_export("a state dict", error) from error


def _join_states(classifier: Classifier, wanted: Mapping[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """The trunk's tensors, and the head's under the two names that the trunk does not have."""
    state = {name: value.contiguous() for name, value in classifier.trunk.module.state_dict().items()}
    head = {"weight": classifier.head.weight, "bias": classifier.head.bias}
    for name in wanted.keys() - state.keys():
        part = head.get(name.rpartition(".")[2])
        if part is not None and part.numel() == wanted[name].numel():
            state[name] = part.reshape(wanted[name].shape).clone()  # some classifiers are 1 x 1 convolutions
    odd = sorted(name for name in wanted.keys() | state.keys() if _shape(wanted, name) != _shape(state, name))
    if odd:
        raise UsageError(
            f"{architecture} with a classifier is not this trunk and a linear head ({', '.join(odd[:3])} differ); "
            "choose --to onnx or torch."
        )
    return state


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    return tuple(state[name].shape) if name in state else (-1,)
