"""Versions of the libraries that compute features."""

from __future__ import annotations

from importlib.metadata import version

from .trunks.library import LIBRARIES, open_library

PACKAGES = ("torch", "torchvision", "timm", "pillow", "numpy", "onnxruntime")


def library_versions(architecture: str) -> dict[str, str]:
    """Versions that may move the last digits of a trunk's features: provenance, not key."""
    prefix = architecture.partition(":")[0]
    more = open_library(prefix).packages if prefix in LIBRARIES else ()
    return {package: version(package) for package in dict.fromkeys((*PACKAGES, *more))}
