"""Trunk and head as one file that other programs run: written, run on a probe, and kept only if it agrees."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fixgrid.cache.disk import commit_stream
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.view import View

from .backends.composed import Head, compose_graph
from .backends.graphs import OPSET, trace_plainly
from .backends.pixels import PixelTrunk
from .backends.probe import make_probe
from .sessions import list_errors, open_session
from .trunks.onnx_graph import OnnxModule
from .trunks.trunk import Trunk

TOLERANCE = 1e-4
"""Largest difference of a probability on the probe."""

MAX_ONNX_BYTES = 2_000_000_000
"""What a protobuf, and so one ONNX file, can hold."""

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Classifier(nn.Module):
    """Pixels in, probabilities out: normalisation, trunk, pooling, head, temperature and softmax or sigmoid.

    Parameters
    ----------
    trunk : Trunk
    coef, intercept : float32 arrays, shapes (K, D) and (K,)
    temperature : float
    res : int, optional
        Side of the crops, px; the trunk's native one if not given.
    link : {"softmax", "sigmoid", "identity"}
        What makes answers of scores: probabilities of one class, or of each; a number.
    normalised : bool
        Whether the head takes features divided by their length.
    """

    def __init__(
        self,
        trunk: Trunk,
        coef: NDArray[np.float32],
        intercept: NDArray[np.float32],
        temperature: float,
        res: int | None = None,
        link: str = "softmax",
        normalised: bool = False,
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
        self.temperature, self.link, self.normalised = temperature, link, normalised
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (B, R, R, 3), RGB, to probabilities or values float32 (B, K)."""
        features = self.trunk(pixels)
        return self.answer(self.head(nn.functional.normalize(features, dim=1) if self.normalised else features))

    def answer(self, scores: Tensor) -> Tensor:
        """Probabilities, or values, of scores float32 (B, K)."""
        if self.link == "identity":
            return scores
        logits = scores / self.temperature
        return torch.sigmoid(logits) if self.link == "sigmoid" else torch.softmax(logits, dim=1)

    @property
    def output(self) -> str:
        """What its answers are called."""
        return "values" if self.link == "identity" else "probabilities"


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
    """Write one ONNX file, uint8 ``pixels`` (B, res, res, 3) to float32 ``probabilities``, or ``values``, (B, K).

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

    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        file = Path(folder, "classifier.onnx")
        graph = _trace(classifier, res, file)
        onnx.helper.set_model_props(graph, dict(metadata))
        onnx.save(graph, str(file))
        session = open_session(file)
        distance = expect_equal(classifier, res, lambda pixels: session.run(None, {"pixels": pixels})[0])
        _keep(file, path)
    return distance


def _trace(classifier: Classifier, res: int, file: Path) -> Any:
    """The graph of a classifier, by way of `file`."""
    import onnx

    module = classifier.trunk.module
    if isinstance(module, OnnxModule):
        coef, intercept = classifier.head.weight.numpy(), classifier.head.bias.numpy()
        head = Head(coef, intercept, classifier.temperature, classifier.link, classifier.normalised)
        batch = "batch" if module.images.batch else 1
        return compose_graph(module, classifier.preprocess, res, head, batch=batch)
    try:
        with trace_plainly():
            torch.onnx.export(
                classifier,
                (torch.from_numpy(make_probe(res)),),
                str(file),
                dynamo=False,
                opset_version=OPSET,
                input_names=["pixels"],
                output_names=[classifier.output],
                dynamic_axes={"pixels": {0: "batch"}, classifier.output: {0: "batch"}},
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise refuse_export("ONNX", error) from error
    return onnx.load(str(file))


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
    if isinstance(classifier.trunk.module, OnnxModule):
        raise UsageError("found an ONNX graph, which torch cannot run; expected a module: choose --to onnx.")
    example = (torch.from_numpy(make_probe(res)),)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        warnings.simplefilter("ignore")
        file = Path(folder, "classifier.pt2")
        try:
            program = torch.export.export(classifier, example, dynamic_shapes=({0: torch.export.Dim("batch")},))
            torch.export.save(program, file, extra_files={"fixgrid.json": json.dumps(dict(metadata))})
            module = torch.export.load(file).module()
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise refuse_export("a torch.export program", error) from error
        distance = expect_equal(classifier, res, lambda pixels: module(torch.from_numpy(pixels)).numpy())
        _keep(file, path)
    return distance


def expect_equal(classifier: Classifier, res: int, run: Run) -> float:
    """Largest difference on the probe as a batch of two, if it may be, and on a picture as a batch of one.

    Raises
    ------
    UsageError
        If it cannot run, or the difference is above `TOLERANCE`.
    """
    distance = 0.0
    errors: tuple[type[Exception], ...] = (ValueError, AssertionError, *list_errors())
    module, both = classifier.trunk.module, make_probe(res)
    single = isinstance(module, OnnxModule) and not module.images.batch
    for probe in (both[:1], both[1:] if single else both):
        with torch.inference_mode():
            wanted = classifier(torch.from_numpy(probe)).numpy()
        try:
            found = run(probe)
        except errors as error:
            raise refuse_export("this form", error) from error
        scale = max(1.0, float(np.abs(wanted).max()))  # of numbers; probabilities are at most 1
        off = float(np.abs(found - wanted).max()) / scale if found.shape == wanted.shape else np.inf
        distance = max(distance, off)
    if not distance <= TOLERANCE:
        raise UsageError(
            f"the exported file gives probabilities {distance:.1e} from the trunk's and head's, expected "
            f"{TOLERANCE:.0e} at most; nothing was written: choose another --to."
        )
    return distance


def _keep(file: Path, path: Path) -> None:
    with open(file, "rb") as source:
        commit_stream(path, lambda target: shutil.copyfileobj(source, target))


def refuse_export(what: str, error: BaseException) -> UsageError:
    """The line for a trunk that cannot be exported in some form."""
    line = (str(error).splitlines() or [""])[0][:160] or type(error).__name__
    return UsageError(f"the trunk cannot be exported as {what} ({line}); nothing was written: choose another --to.")
