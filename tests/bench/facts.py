"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "onnxruntime",
    "openvino",
    "pillow",
    "numpy",
    "scikit-learn",
    "h5py",
)


def describe_machine() -> dict[str, Any]:
    """Processor, memory, versions, and the load that others put on the machine before anything was measured."""
    return {
        "cpu": _read_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": count_cores(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: found for package in PACKAGES if (found := _find_version(package))},
        "load_before": round(os.getloadavg()[0], 2),
    }


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _read_line(file: str, name: str) -> str:
    if not Path(file).is_file():
        return ""
    lines = (line.partition(":") for line in Path(file).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
