"""Versions of the libraries that compute features."""

from __future__ import annotations

from .trunks.library import LIBRARIES, find_version, open_library

PACKAGES = ("torch", "torchvision", "timm", "pillow", "numpy", "onnxruntime")


def library_versions(architecture: str) -> dict[str, str]:
    """Versions that may move the last digits of a trunk's features: provenance, not key."""
    prefix = architecture.partition(":")[0]
    more = open_library(prefix).packages if prefix in LIBRARIES else ()
    return {package: find_version(package) for package in dict.fromkeys((*PACKAGES, *more))}
