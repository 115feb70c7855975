"""A user's ONNX graph as a trunk: what is read of it, how it runs, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.backends.spec import open_backend
from fixgrid.embed.trunks import onnx_graph
from fixgrid.embed.trunks.files import read_trunk
from fixgrid.embed.trunks.own import identify_own
from fixgrid.embed.trunks.trunk import Trunk, count_module

KERNEL = np.random.default_rng(0).normal(0, 0.1, (8, 3, 3, 3)).astype(np.float32)


def make_graph(
    shape: tuple[object, ...] = ("n", 3, "h", "w"),
    kind: int = TensorProto.FLOAT,
    outputs: tuple[tuple[str, int], ...] = (("features", 2),),
    opset: int = 17,
    kernel: np.ndarray = KERNEL,
) -> onnx.ModelProto:
    """A convolution and a mean, behind what turns the input into normalised float32 (B, 3, H, W)."""
    nodes = []
    name = "pixels"  # also the name of the composed graph's input
    if kind == TensorProto.UINT8:
        nodes.append(helper.make_node("Cast", [name], ["float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Div", ["float", "255"], ["unit"]))
        name = "unit"
    if shape[3] == 3:
        nodes.append(helper.make_node("Transpose", [name], ["planes"], perm=[0, 3, 1, 2]))
        name = "planes"
    nodes += [
        helper.make_node("Conv", [name, "kernel"], ["maps"], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["maps"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
    ]
    values = {"kernel": kernel, "255": np.array(255, np.float32)}
    ranks = {2: ["n", 8], 4: ["n", 8, "y", "x"]}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("pixels", kind, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ranks[rank]) for output, rank in outputs],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def write_graph(file: Path, **facts: Any) -> Path:
    onnx.save(make_graph(**facts), str(file))
    return file


def load(file: Path) -> Trunk:
    return identify_own(read_trunk(str(file), None, print)).load()


def by_hand(trunk: Trunk, pixels: np.ndarray) -> np.ndarray:
    mean, std = (torch.tensor([float(v) for v in part]) for part in (trunk.preprocess.mean, trunk.preprocess.std))
    images = ((torch.from_numpy(pixels) / 255 - mean) / std).permute(0, 3, 1, 2)
    return torch.nn.functional.conv2d(images, torch.from_numpy(KERNEL), stride=2).mean((2, 3)).numpy()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (("n", 3, "h", "w"), TensorProto.FLOAT),
        ((1, 3, 32, 32), TensorProto.FLOAT),
        (("n", "h", "w", 3), TensorProto.FLOAT),
        (("n", "h", "w", 3), TensorProto.UINT8),
        ((1, 3, 32, 32), TensorProto.UINT8),
    ],
)
@pytest.mark.parametrize("opset", [11, 17])
def test_features_are_those_of_the_graph(tmp_path: Path, shape: tuple[object, ...], kind: int, opset: int) -> None:
    trunk = load(write_graph(tmp_path / "net.onnx", shape=shape, kind=kind, opset=opset))
    pixels = make_probe(32)
    if kind == TensorProto.UINT8:  # it normalises by itself
        unit = replace(trunk, preprocess=replace(trunk.preprocess, mean=("0",) * 3, std=("1",) * 3))
        wanted = by_hand(unit, pixels)
    else:
        wanted = by_hand(trunk, pixels)
    np.testing.assert_allclose(run_eager(trunk, pixels), wanted, rtol=1e-4, atol=1e-5)
    spec = prepare_backend(trunk, [32], folder=tmp_path)
    assert (spec.kind, spec.reason) == ("onnxruntime", "")
    np.testing.assert_allclose(open_backend(spec, 32)(pixels), wanted, rtol=1e-4, atol=1e-5)
    graph = onnx.load(dict(spec.graphs)[32])
    assert (graph.opset_import[0].version, graph.ir_version) == (opset, 8)


def test_a_graph_of_one_size_takes_no_other(tmp_path: Path) -> None:
    trunk = load(write_graph(tmp_path / "net.onnx", shape=("n", 3, 48, 48)))
    assert (trunk.preprocess.native_res, trunk.preprocess.fixed_size) == (48, True)
    with pytest.raises(UsageError, match=r"found 32 px for .*net.onnx, expected 48"):
        prepare_backend(trunk, [32], folder=tmp_path)


def test_the_key_holds_graph_and_weights_and_nothing_else(tmp_path: Path) -> None:
    first = load(write_graph(tmp_path / "a.onnx"))
    assert first.architecture.startswith("module:onnx@")
    graph = make_graph()
    graph.doc_string, graph.producer_name = "some", "thing"
    onnx.save(graph, str(tmp_path / "b.onnx"))
    again, other, wider = (
        load(tmp_path / "b.onnx"),
        load(write_graph(tmp_path / "c.onnx", kernel=KERNEL * 2)),
        load(write_graph(tmp_path / "d.onnx", kernel=KERNEL, shape=(1, 3, 32, 32))),
    )
    assert (again.architecture, again.weights_sha256) == (first.architecture, first.weights_sha256)
    assert other.architecture == first.architecture
    assert other.weights_sha256 != first.weights_sha256
    assert wider.architecture != first.architecture


def test_weights_beside_a_graph_are_read_and_written_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = load(write_graph(tmp_path / "net.onnx"))
    onnx.save(make_graph(), str(tmp_path / "out.onnx"), save_as_external_data=True, location="w", size_threshold=0)
    beside = load(tmp_path / "out.onnx")
    assert (beside.architecture, beside.weights_sha256) == (inside.architecture, inside.weights_sha256)
    monkeypatch.setattr(onnx_graph, "MAX_PROTOBUF_BYTES", 100)
    spec = prepare_backend(beside, [32], folder=tmp_path / "files")
    np.testing.assert_allclose(open_backend(spec, 32)(make_probe(32)), run_eager(inside, make_probe(32)), rtol=1e-5)
    (tmp_path / "w").unlink()
    with pytest.raises(DataError, match="no ONNX graph that can be read"):
        load(tmp_path / "out.onnx")


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname"])
def test_weights_elsewhere_are_not_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").write_bytes(KERNEL.tobytes())
    (tmp_path / "in").mkdir()
    graph = make_graph()
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    (tmp_path / "in" / "net.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(DataError, match="no ONNX graph that can be read"):
        load(tmp_path / "in" / "net.onnx")


def custom_operator() -> onnx.ModelProto:
    graph = make_graph()
    graph.graph.node[0].domain = "some.vendor"
    graph.opset_import.append(helper.make_opsetid("some.vendor", 1))
    return graph


@pytest.mark.parametrize(
    ("made", "error", "says"),
    [
        (make_graph(outputs=(("maps", 4),)), UsageError, "found the outputs maps of rank 4; expected features"),
        (make_graph(shape=("n", 1, 28, 28)), UsageError, r"float \(\?, 1, 28, 28\); expected three channels"),
        (make_graph(shape=(4, 3, 28, 28)), UsageError, "a free batch or 1"),
        (make_graph(shape=(1, 3, 28, 32)), UsageError, "a square or free size"),
        (make_graph(kind=TensorProto.DOUBLE), UsageError, "expected float or uint8 images"),
        (custom_operator(), UsageError, r"cannot run at 224 px \(.*some.vendor"),
        (b"no graph", DataError, "is no ONNX graph that can be read"),
        (make_graph().SerializeToString()[:-40], DataError, "is no ONNX graph that can be read"),
    ],
)
def test_what_is_no_trunk_is_refused_in_one_line(
    tmp_path: Path, made: onnx.ModelProto | bytes, error: type[Exception], says: str
) -> None:
    data = made if isinstance(made, bytes) else made.SerializeToString()
    (tmp_path / "net.onnx").write_bytes(data)
    with pytest.raises(error, match=says) as caught:
        load(tmp_path / "net.onnx")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code in (2, 3)


def test_what_is_not_there_and_weights_beside_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no file"):
        load(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="which holds its own"):
        read_trunk(str(write_graph(tmp_path / "net.onnx")), tmp_path / "w.pth", print)


def test_features_are_the_first_output_of_rank_two(tmp_path: Path) -> None:
    trunk = load(write_graph(tmp_path / "net.onnx", outputs=(("maps", 4), ("features", 2))))
    assert trunk.dim == 8


def test_torch_refuses_it_in_one_line(tmp_path: Path) -> None:
    trunk = load(write_graph(tmp_path / "net.onnx"))
    with pytest.raises(UsageError, match="torch not used: it runs no ONNX graph; choose --device cpu"):
        prepare_backend(trunk, [32], kind="torch", folder=tmp_path)


def test_costs_are_counted_from_the_graph(tmp_path: Path) -> None:
    trunk = load(write_graph(tmp_path / "net.onnx"))
    costs = count_module("net", trunk.module, trunk.dim, 33)
    assert costs.macs == 16 * 16 * 27 * 8
    assert costs.parameters == 8 * 27 + 1
