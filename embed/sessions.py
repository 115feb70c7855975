"""ONNX Runtime's sessions. Free of torch: workers start with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_session(graph: str | Path, threads: int = 1) -> Any:
    """A session of a graph's file on the CPU. No library of custom operators is ever registered with it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: they are raised, and said in one line
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def list_errors() -> tuple[type[Exception], ...]:
    """What a session raises; ONNX Runtime's classes share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (RuntimeError, *own)
