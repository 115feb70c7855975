"""A user's ONNX graph between pixels and features, or probabilities, in one graph of the same opset."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..trunks.onnx_graph import OnnxModule
from ..trunks.preprocess import Preprocess
from .pixels import compute_scale


class Head(NamedTuple):
    """What comes after the features: coef (K, D) and intercept (K,), float32, temperature, what makes answers.

    ``normalised``: whether features are divided by their length first.
    """

    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]
    temperature: float
    link: str = "softmax"
    normalised: bool = False


def compose_graph(
    module: OnnxModule, preprocess: Preprocess, res: int | None, head: Head | None = None, *, batch: int | str = 1
) -> Any:
    """uint8 (B, R, R, 3) ``pixels`` to float32 (B, D) ``features``, or (B, K) ``probabilities`` with a head.

    Parameters
    ----------
    module : OnnxModule
    preprocess : Preprocess
        Its mean and std.
    res : int or None
        R (px); None for any height and width.
    head : Head, optional
    batch : int or str
        B, or the name of a free one.

    Returns
    -------
    onnx.ModelProto
    """
    from onnx import TensorProto, compose, helper

    prefix = "trunk/"  # so that no name of ours is one of the graph's
    model = compose.add_prefix(module.skeleton, prefix)
    before, constants = _normalise(module, preprocess, prefix + module.images.name)
    after, more = _classify(prefix + module.output, head)
    graph, inner = model.graph, list(model.graph.node)
    for part in ("node", "input", "output", "value_info"):
        graph.ClearField(part)
    graph.node.extend([*before, *inner, *after])
    graph.initializer.extend([*constants, *more])
    sides = (res, res) if res else ("height", "width")
    name, width = (_name_answers(head), len(head.coef)) if head else ("features", None)
    graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, [batch, *sides, 3]))
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, width]))
    return module.fill(model)


def _normalise(module: OnnxModule, preprocess: Preprocess, target: str) -> tuple[list[Any], list[Any]]:
    """Nodes from ``pixels`` to what the graph takes, computed as `PixelTrunk` computes it, and their constants."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, last = list[Any](), list[Any](), "pixels"

    def add(kind: str, *more: str, **attributes: Any) -> None:
        nonlocal last
        name = f"pixels/{len(nodes)}"
        nodes.append(helper.make_node(kind, [last, *more], [name], **attributes))
        last = name

    scale, shift = compute_scale(preprocess)
    if not module.images.pixels:
        constants = [numpy_helper.from_array(value, f"pixels/{word}") for word, value in
                     (("scale", scale), ("shift", shift))]  # fmt: skip
        add("Cast", to=TensorProto.FLOAT)
        add("Mul", "pixels/scale")
        add("Sub", "pixels/shift")
    if not module.images.channels_last:
        add("Transpose", perm=[0, 3, 1, 2])
    nodes.append(helper.make_node("Identity", [last], [target]))
    return nodes, constants


def _classify(features: str, head: Head | None) -> tuple[list[Any], list[Any]]:
    """Nodes from the features to the output, and their constants."""
    from onnx import helper, numpy_helper

    if head is None:
        return [helper.make_node("Identity", [features], ["features"])], []
    values = {
        "coef": head.coef,
        "intercept": head.intercept,
        "temperature": np.array([head.temperature], np.float32),
    }
    constants = [numpy_helper.from_array(value, f"head/{name}") for name, value in values.items()]
    name = _name_answers(head)
    last = {"softmax": ("Softmax", {"axis": 1}), "sigmoid": ("Sigmoid", {}), "identity": ("Identity", {})}
    kind, attributes = last[head.link]
    before = []
    if head.normalised:
        before = [helper.make_node("LpNormalization", [features], ["head/unit"], axis=1, p=2)]
        features = "head/unit"
    nodes = [
        *before,
        helper.make_node("Gemm", [features, "head/coef", "head/intercept"], ["head/scores"], transB=1),
        helper.make_node("Div", ["head/scores", "head/temperature"], ["head/logits"]),
        helper.make_node(kind, ["head/logits"], [name], **attributes),
    ]
    return nodes, constants


def _name_answers(head: Head) -> str:
    return "values" if head.link == "identity" else "probabilities"
