"""Trunk and head as one file that other programs run: written, run on a probe, and kept only if it agrees."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fixgrid.cache.disk import commit_bytes, commit_stream
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.view import View

from .backends.graphs import OPSET, trace_plainly
from .backends.onnx_runtime import list_errors
from .backends.pixels import PixelTrunk
from .backends.probe import make_probe
from .trunks.library import find_use, open_library
from .trunks.trunk import Trunk

TOLERANCE = 1e-4
"""Largest difference of a probability on the probe."""

MAX_ONNX_BYTES = 2_000_000_000
"""What a protobuf, and so one ONNX file, can hold."""

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Classifier(nn.Module):
    """Pixels in, probabilities out: normalisation, trunk, pooling, head, temperature and softmax.

    Parameters
    ----------
    trunk : Trunk
    coef, intercept : float32 arrays, shapes (K, D) and (K,)
    temperature : float
    res : int, optional
        Side of the crops, px; the trunk's native one if not given.
    """

    def __init__(
        self,
        trunk: Trunk,
        coef: NDArray[np.float32],
        intercept: NDArray[np.float32],
        temperature: float,
        res: int | None = None,
    ) -> None:
        super().__init__()
        if coef.shape[1] != trunk.dim:
            raise CacheError(
                f"found a head on {coef.shape[1]} features, {trunk.name} has {trunk.dim}: not its head."
            )
        self.preprocess = trunk.preprocess
        module = trunk.at(res or trunk.preprocess.native_res)
        self.published = module is trunk.module
        self.trunk = PixelTrunk(module, trunk.preprocess)
        self.head = nn.Linear(trunk.dim, len(coef))
        self.head.weight.data = torch.tensor(coef)
        self.head.bias.data = torch.tensor(intercept)
        self.temperature = temperature
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (B, R, R, 3), RGB, to probabilities float32 (B, K)."""
        return torch.softmax(self.head(self.trunk(pixels)) / self.temperature, dim=1)


def expect_center(view: View) -> None:
    """Refuse a view that a file which takes one square crop cannot stand for.

    Raises
    ------
    UsageError
    """
    if view.kind != "center":
        raise UsageError(
            f"found a head on {view.kind} views; expected center: only one square crop can be exported."
        )


def export_onnx(classifier: Classifier, res: int, metadata: Mapping[str, str], path: Path) -> float:
    """Write one ONNX file, uint8 ``pixels`` (B, res, res, 3) to float32 ``probabilities`` (B, K).

    Parameters
    ----------
    classifier : Classifier
    res : int
        px; fixed, since TensorFlow's SAME padding depends on it. The batch is free.
    metadata : mapping of str to str
        Kept as ``metadata_props``.
    path : Path

    Returns
    -------
    float
        Largest difference of a probability under ONNX Runtime, on the probe.

    Raises
    ------
    UsageError
        If the trunk is too large, cannot be exported, or gives other probabilities there.
    DiskError
        If the write fails.
    """
    size = sum(value.nbytes for value in classifier.state_dict().values())
    if size > MAX_ONNX_BYTES:
        raise UsageError(f"found {size / 1e9:.1f} GB of weights; one ONNX file holds 2: choose --to torch.")
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        file = Path(folder, "classifier.onnx")
        _trace(classifier, res, file)
        graph = onnx.load(str(file))
        onnx.helper.set_model_props(graph, dict(metadata))
        onnx.save(graph, str(file))
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        distance = _expect_equal(classifier, res, lambda pixels: session.run(None, {"pixels": pixels})[0])
        _keep(file, path)
    return distance


def _trace(classifier: Classifier, res: int, file: Path) -> None:
    try:
        with trace_plainly():
            torch.onnx.export(
                classifier,
                (torch.from_numpy(make_probe(res)),),
                str(file),
                dynamo=False,
                opset_version=OPSET,
                input_names=["pixels"],
                output_names=["probabilities"],
                dynamic_axes={"pixels": {0: "batch"}, "probabilities": {0: "batch"}},
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise _refusal("ONNX", error) from error


def export_torch(classifier: Classifier, res: int, metadata: Mapping[str, str], path: Path) -> float:
    """Write a `torch.export` program with the inputs and outputs of `export_onnx`; metadata in ``fixgrid.json``.

    Returns
    -------
    float
        Largest difference of a probability of the file read back, on the probe.

    Raises
    ------
    UsageError, DiskError
        As `export_onnx`.
    """
    example = (torch.from_numpy(make_probe(res)),)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        warnings.simplefilter("ignore")
        file = Path(folder, "classifier.pt2")
        try:
            program = torch.export.export(classifier, example, dynamic_shapes=({0: torch.export.Dim("batch")},))
            torch.export.save(program, file, extra_files={"fixgrid.json": json.dumps(dict(metadata))})
            module = torch.export.load(file).module()
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise _refusal("a torch.export program", error) from error
        distance = _expect_equal(classifier, res, lambda pixels: module(torch.from_numpy(pixels)).numpy())
        _keep(file, path)
    return distance


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
    if not classifier.published:
        raise UsageError(
            f"found a trunk resampled for {res} px, or other features than its classifier's; expected the "
            "library's own model, for a state dict: choose --to onnx or torch."
        )
    whole = _build_whole(architecture, len(classifier.head.weight))
    data = save(_join_states(classifier, whole.state_dict(), architecture))
    whole.load_state_dict(load(data))
    scores = PixelTrunk(whole.eval(), classifier.preprocess)

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return torch.softmax(scores(torch.from_numpy(pixels)) / classifier.temperature, dim=1).detach().numpy()

    distance = _expect_equal(classifier, res, run)
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
        "crop_mode": "center",
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
        raise _refusal("a state dict", error) from error


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


def _expect_equal(classifier: Classifier, res: int, run: Run) -> float:
    """Largest difference on the probe as a batch of two, and on its first picture as a batch of one."""
    distance = 0.0
    errors: tuple[type[Exception], ...] = (ValueError, AssertionError, *list_errors())
    for probe in (make_probe(res), make_probe(res)[:1]):
        with torch.inference_mode():
            wanted = classifier(torch.from_numpy(probe)).numpy()
        try:
            found = run(probe)
        except errors as error:
            raise _refusal("this form", error) from error
        distance = max(distance, float(np.abs(found - wanted).max()) if found.shape == wanted.shape else np.inf)
    if not distance <= TOLERANCE:
        raise UsageError(
            f"the exported file gives probabilities {distance:.1e} from the trunk's and head's, expected "
            f"{TOLERANCE:.0e} at most; nothing was written: choose another --to."
        )
    return distance


def _keep(file: Path, path: Path) -> None:
    with open(file, "rb") as source:
        commit_stream(path, lambda target: shutil.copyfileobj(source, target))


def _refusal(what: str, error: BaseException) -> UsageError:
    line = (str(error).splitlines() or [""])[0][:160] or type(error).__name__
    return UsageError(f"the trunk cannot be exported as {what} ({line}); nothing was written: choose another --to.")
