"""How an image is seen: a view as data, as keys hold it, its sizes, and its words.

All that is known of a view without a pixel is known here, and nowhere else. FixRes (Touvron et al., 2019) names the
kinds: ``center`` is its val_test, ``train`` its train, ``val_train`` its val_train, ``whole`` its val.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .errors import CacheError

KINDS = ("center", "train", "val_train", "whole", "five", "ten")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
RESAMPLERS = ("pillow", "tensor")
RESIZES = ("short-side", "height")
JITTERS = ("torch", "full")
MIN_RES_PX, MAX_RES_PX = 8, 2048

# RandomResizedCrop at scale (.08, 1) on photographs of 4:3: mean root of the crop's area over the photograph's
# short side, from 400,000 draws.
_TRAIN_CROP = 0.7322
_ASPECT = 4 / 3


@dataclass(frozen=True)
class View:
    """How an image is seen; every field changes pixels, so every field is in the cache key.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    res : int
        Side of the crops, px (``whole``: the longest side).
    interpolation : str
        One of `INTERPOLATIONS`; always antialiased.
    mean, std : tuple of three decimal strings
        Normalisation of pixels in [0, 1].
    crop_ratio : str
        Crop side over resized side, a decimal string. FixRes' 224/256 is 0.875.
    resize : str
        ``short-side``, or FixRes' ``height``, which gives black bars beside narrow portraits.
    draws : int
        V of the random kinds.
    seed : int
        Seed of the random kinds.
    jitter : str
        Colour jitter of ``train``: ``torch`` (none) or ``full`` (.3).
    resampler : str
        One of `RESAMPLERS`.
    """

    kind: str
    res: int
    interpolation: str
    mean: tuple[str, str, str]
    std: tuple[str, str, str]
    crop_ratio: str = "0.875"
    resize: str = "short-side"
    draws: int = 1
    seed: int = 0
    jitter: str = "torch"
    resampler: str = "pillow"

    @property
    def count(self) -> int:
        """V, the number of crops an image gives."""
        return {"five": 5, "ten": 10, "train": self.draws, "val_train": self.draws}.get(self.kind, 1)

    @property
    def short_side_px(self) -> float:
        """Length of a 4:3 photograph's short side in this view, px: how large it shows what there is."""
        if self.kind == "train":
            return self.res / _TRAIN_CROP
        return self.res / _ASPECT if self.kind == "whole" else resize_side(self.res, self.crop_ratio)

    @property
    def crop_share(self) -> float:
        """Side of the crop over the photograph's short side."""
        return _TRAIN_CROP if self.kind == "train" else self.res / self.short_side_px

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> View:
        """The view that `to_spec` described."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in spec.items()}
        return cls(**fields)

    def to_spec(self) -> dict[str, Any]:
        """The fields that matter to this kind, for the key: others must not cause a miss."""
        fields = asdict(self)
        unused: tuple[str, ...] = {
            "center": ("draws", "seed", "jitter"),
            "five": ("draws", "seed", "jitter"),
            "ten": ("draws", "seed", "jitter"),
            "whole": ("draws", "seed", "jitter", "crop_ratio", "resize"),
            "train": ("crop_ratio", "resize"),
            "val_train": ("jitter",),
        }[self.kind]
        if self.resampler == "pillow":  # as keys had it before there was another
            unused += ("resampler",)
        return {name: value for name, value in fields.items() if name not in unused}

    def describe(self) -> dict[str, str]:
        """The view in words, by what they are about: crop, resize, normalisation."""
        crops = f"{self.kind}, {self.res} px" + f", {self.count} of an image" * (self.count > 1)
        side = f"the {self.resize.replace('-', ' ')} to {resize_side(self.res, self.crop_ratio)} px"
        box = "a random box to the crop" if self.kind == "train" else side
        how = f"antialiased {self.interpolation} ({_WHOSE[self.resampler]})"
        return {
            "Crop": crops,
            "Resize": f"{'the longest side to the crop' if self.kind == 'whole' else box}, {how}",
            "Normalisation": f"pixels in 0..1, mean {', '.join(self.mean)}, std {', '.join(self.std)}",
        }


_WHOSE = {"pillow": "Pillow's images", "tensor": "torchvision's tensors"}


def read_view(spec: Mapping[str, Any]) -> View:
    """The view of a spec that a file brought, such as a head's.

    Raises
    ------
    CacheError
        If this version knows no such view.
    """
    try:
        view = View.from_spec(spec)
        known = view.kind in KINDS and view.interpolation in INTERPOLATIONS and MIN_RES_PX <= view.res <= MAX_RES_PX
        known = known and view.resize in RESIZES and view.resampler in RESAMPLERS and view.jitter in JITTERS
        known = known and 0.1 <= float(view.crop_ratio) <= 1
        known = known and all(len([float(part) for part in parts]) == 3 for parts in (view.mean, view.std))
    except (TypeError, ValueError, AttributeError) as error:
        raise CacheError(f"found no view of this version ({error}); run fit-head again.") from error
    if not known:
        raise CacheError(f"found no view of this version ({dict(spec)}); run fit-head again.")
    return view


def apparent_ratio(training: Sequence[View], test: View) -> float:
    """Size of an object in a test view over its size in training views, on 4:3 photographs; FixRes wants 1.

    Training views of several kinds, all of one resolution, count with their mean crop (Touvron et al. 2019, section
    3.1).
    """
    share = sum(view.crop_share for view in training) / len(training)
    return test.short_side_px * share / training[0].res


def resized_size(width: int, height: int, view: View) -> tuple[int, int]:
    """(width, height) after Resize, px, with torchvision's rounding: ``int`` floors everything."""
    side = resize_side(view.res, view.crop_ratio)
    if view.resize == "height":
        return max(1, int(side * width / height)), side
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def resize_side(res: int, crop_ratio: str) -> int:
    """Side that Resize gets before a crop of `res`: FixRes' ``int(256 / 224 * res)``, timm's ``floor``."""
    if float(crop_ratio) == 0.875:
        return int(256 / 224 * res)
    return math.floor(res / float(crop_ratio))


def whole_size(width: int, height: int, res: int) -> tuple[int, int]:
    """(width, height) with the longest side `res`, px (FixRes' Resize with ``largest=True``)."""
    if height < width:
        return res, max(1, int(res * height / width))
    return max(1, int(res * width / height)), res
