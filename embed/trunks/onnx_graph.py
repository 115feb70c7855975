"""A user's ONNX graph as a module: its weights are the module's, and ONNX Runtime runs it.

The graph is data. It is checked before it is opened, its external files must lie beside it, and no library of
custom operators is loaded for it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fixgrid.cache.errors import DataError, UsageError

from ..sessions import list_errors, open_session
from .source import IMAGENET

MAX_PROTOBUF_BYTES = 1_900_000_000
"""Above, weights are written beside their graph: a protobuf holds 2 GiB."""

MIN_OPSET = 7
"""The first whose arithmetic broadcasts as the nodes around a graph need it."""

_WEIGHTS = {"FLOAT": "<f4", "DOUBLE": "<f8", "FLOAT16": "<f2", "INT8": "i1", "UINT8": "u1"}
"""Types of the tensors that are weights; others, such as shapes, belong to the graph."""

_DATA = ("float_data", "int32_data", "double_data", "raw_data", "external_data", "data_location")


@dataclass(frozen=True)
class ImageInput:
    """How a graph takes its images.

    Attributes
    ----------
    name : str
    pixels : bool
        Whether it takes uint8 pixels, and not normalised float32.
    channels_last : bool
    batch : bool
        Whether any number at a time, and not one.
    side : int
        px of the only size that is taken; 0 for any.
    """

    name: str
    pixels: bool
    channels_last: bool
    batch: bool
    side: int


class OnnxModule(nn.Module):
    """A graph behind the interface of a trunk: normalised float32 (B, 3, R, R) to float32 (B, D).

    Parameters
    ----------
    model : onnx.ModelProto
        Loaded with its external data; it loses its weights to the module.

    Attributes
    ----------
    skeleton : onnx.ModelProto
        The graph without its weights and without what only describes it.
    images : ImageInput
    output : str
        Where the features come out.
    digest : str
        Of the skeleton, 16 hex digits.
    pretrained_cfg : dict
        What it expects of its input, in timm's words.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.images, self.output = _find_input(model), _find_output(model)
        self._places, weights = _take_weights(model)
        self.weights = nn.ParameterList(nn.Parameter(value, requires_grad=False) for value in weights)
        self.skeleton = _strip(model)
        self.digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()[:16]
        mean, std = ((0.0,) * 3, (1 / 255,) * 3) if self.images.pixels else IMAGENET
        self.pretrained_cfg = {"mean": mean, "std": std, "fixed_input_size": bool(self.images.side)}
        if self.images.side:
            self.pretrained_cfg["input_size"] = (3, self.images.side, self.images.side)

    def fill(self, model: Any) -> Any:
        """Give a copy of the skeleton, to which initializers may have been added, its weights back."""
        for place, value in zip(self._places, self.weights, strict=True):
            model.graph.initializer[place].raw_data = value.numpy().tobytes()
        return model

    def forward(self, images: Tensor) -> Tensor:
        """One image at a time; RuntimeError if the graph refuses one."""
        with _run(self._copy()) as session:
            rows = [self._feed(session, [self.output], image)[0] for image in torch.split(images, 1)]
        return torch.from_numpy(np.concatenate(rows))

    def count_macs(self, res: int) -> int:
        """Multiply-adds of its convolutions and matrix products for an image of `res` px, by running it once.

        Raises
        ------
        RuntimeError
            If it refuses images of that size.
        """
        from onnx import helper

        model = self._copy()
        nodes = [node for node in model.graph.node if node.op_type in _MACS and not node.domain]
        shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        shapes[self.images.name] = tuple(self._prepare(torch.empty(1, 3, res, res)).shape)
        wanted = dict.fromkeys(name for node in nodes for name in (*node.input[:2], *node.output[:1]))
        lacking = [name for name in wanted if name not in shapes]
        given = {output.name for output in model.graph.output}
        model.graph.output.extend(
            helper.make_empty_tensor_value_info(name) for name in lacking if name not in given
        )
        with _run(model) as session:
            found = self._feed(session, lacking, torch.zeros(1, 3, res, res)) if lacking else []
        shapes |= {name: value.shape for name, value in zip(lacking, found, strict=True)}
        return sum(_MACS[node.op_type](node, shapes) for node in nodes)

    def _copy(self) -> Any:
        model = type(self.skeleton)()
        model.CopyFrom(self.skeleton)
        return self.fill(model)

    def _prepare(self, image: Tensor) -> Any:
        """An image as the graph takes it."""
        if self.images.channels_last:
            image = image.permute(0, 2, 3, 1)
        return (image.round().to(torch.uint8) if self.images.pixels else image).contiguous().numpy()

    def _feed(self, session: Any, outputs: Sequence[str], image: Tensor) -> list[Any]:
        try:
            found = session.run(list(outputs), {self.images.name: self._prepare(image)})
        except list_errors() as error:
            raise RuntimeError((str(error).splitlines() or [""])[0]) from error
        if not all(isinstance(value, np.ndarray) for value in found):
            raise TypeError("its output is no tensor")
        return list(found)


@contextmanager
def _run(model: Any) -> Iterator[Any]:
    """A session of a model while it lasts."""
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        file = Path(folder, "graph.onnx")
        save_graph(model, file)
        try:
            session = open_session(file, torch.get_num_threads())
        except list_errors() as error:
            raise RuntimeError((str(error).splitlines() or [""])[0]) from error
        yield session


def save_graph(model: Any, file: Path) -> None:
    """Write a graph; weights that one file cannot hold go beside it."""
    import onnx

    beside = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > MAX_PROTOBUF_BYTES
    onnx.save_model(model, str(file), save_as_external_data=beside, location=f"{file.name}.data")


def read_graph(file: Path) -> OnnxModule:
    """The graph in a file, checked; external data must lie beside it.

    Raises
    ------
    UsageError
        If there is no such file, or the graph is none from one image to features.
    DataError
        If it is not an ONNX file, or damaged.
    """
    import onnx

    if not file.is_file():
        raise UsageError(f"found no file {file}; expected an ONNX graph.")
    try:
        onnx.checker.check_model(str(file))
        model = onnx.load(str(file))
    except (onnx.checker.ValidationError, ValueError, RuntimeError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0][:160] or type(error).__name__
        raise DataError(f"{file} is no ONNX graph that can be read ({reason}); export it again.") from error
    opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    if opset < MIN_OPSET:
        raise UsageError(f"found opset {opset} in {file}; expected {MIN_OPSET} at least: export it again.")
    try:
        return OnnxModule(model)
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error


def _find_input(model: Any) -> ImageInput:
    from onnx import TensorProto

    held = {tensor.name for tensor in model.graph.initializer}  # old files list them as inputs, too
    asked = [one for one in model.graph.input if one.name not in held]
    if len(asked) != 1:
        names = ", ".join(one.name for one in asked) or "none"
        raise ValueError(f"found the inputs {names}; expected one, a batch of images.")
    kind = asked[0].type.tensor_type
    dims = [dim.dim_value for dim in kind.shape.dim]
    said = f"{TensorProto.DataType.Name(kind.elem_type).lower()} ({', '.join(str(dim or '?') for dim in dims)})"
    if kind.elem_type not in (TensorProto.FLOAT, TensorProto.UINT8) or len(dims) != 4:
        raise ValueError(f"found an input of {said}; expected float or uint8 images, (B, 3, H, W) or (B, H, W, 3).")
    pixels = bool(kind.elem_type == TensorProto.UINT8)
    last = (dims[3] == 3 and dims[1] != 3) or (pixels and dims[1] != 3 and dims[3] == 0)
    batch, channels = dims[0], dims[3] if last else dims[1]
    height, width = dims[1:3] if last else dims[2:]
    if channels not in (0, 3) or height != width or batch > 1:
        raise ValueError(
            f"found an input of {said}; expected three channels, a square or free size, and a free batch or 1."
        )
    return ImageInput(asked[0].name, pixels, last, batch == 0, height)


def _find_output(model: Any) -> str:
    """The first output of rank 2, or the only one."""
    outputs = list(model.graph.output)
    ranks = [len(one.type.tensor_type.shape.dim) for one in outputs]
    for one, rank in zip(outputs, ranks, strict=True):
        if rank == 2 or (len(outputs) == 1 and not one.type.tensor_type.HasField("shape")):
            return str(one.name)
    found = ", ".join(f"{one.name} of rank {rank}" for one, rank in zip(outputs, ranks, strict=True))
    raise ValueError(f"found the outputs {found}; expected features (B, D): pool its feature maps.")


def _take_weights(model: Any) -> tuple[list[int], list[Tensor]]:
    """Places among the initializers, and values, of the weights; the model keeps their names and shapes."""
    from onnx import TensorProto, numpy_helper

    places, weights = [], []
    for place, tensor in enumerate(model.graph.initializer):
        kind = _WEIGHTS.get(TensorProto.DataType.Name(tensor.data_type))
        if kind is not None:
            weights.append(torch.from_numpy(numpy_helper.to_array(tensor).astype(kind)))
            places.append(place)
            for name in _DATA:
                tensor.ClearField(name)
    return places, weights


def _strip(model: Any) -> Any:
    """The model without what says nothing of its features."""
    for name in ("producer_name", "producer_version", "domain", "model_version", "doc_string", "metadata_props"):
        model.ClearField(name)
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        for name in ("doc_string", "metadata_props"):
            part.ClearField(name)
    model.graph.ClearField("value_info")
    return model


def _count_conv(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    return int(np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:]))


def _count_transposed(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    return int(np.prod(shapes[node.input[0]]) * np.prod(shapes[node.input[1]][1:]))


def _count_gemm(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    inner = -2 if any(one.name == "transA" and one.i for one in node.attribute) else -1
    return int(np.prod(shapes[node.output[0]]) * shapes[node.input[0]][inner])


_MACS = {"Conv": _count_conv, "ConvTranspose": _count_transposed, "Gemm": _count_gemm, "MatMul": _count_gemm}
