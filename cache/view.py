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
CROP_MODES = ("center", "squash", "border")
JITTERS = ("torch", "full")
MIN_RES_PX, MAX_RES_PX = 8, 2048
MIN_CROP_RATIO, MAX_CROP_RATIO = 0.1, 1.5  # VOLO's 1.15 shows a photograph in a black frame

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
    crop_mode : str
        One of `CROP_MODES`, timm's words: ``center`` resizes as `resize` says; ``squash`` resizes all of the image
        to a square; ``border`` resizes its longest side and pads to a square with the mean colour. Random crops and
        ``whole`` know none.
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
    crop_mode: str = "center"

    @property
    def count(self) -> int:
        """V, the number of crops an image gives."""
        return {"five": 5, "ten": 10, "train": self.draws, "val_train": self.draws}.get(self.kind, 1)

    @property
    def short_side_px(self) -> float:
        """Length of a 4:3 photograph's short side in this view, px: how large it shows what there is."""
        if self.kind == "train":
            return self.res / _TRAIN_CROP
        if self.kind == "whole":
            return self.res / _ASPECT
        # Squashed, both sides count by the root of their product.
        shown = {"center": 1.0, "squash": math.sqrt(_ASPECT), "border": _ASPECT}[self.crop_mode]
        return resize_side(self.res, self.crop_ratio) / shown

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
            "whole": ("draws", "seed", "jitter", "crop_ratio", "resize", "crop_mode"),
            "train": ("crop_ratio", "resize", "crop_mode"),
            "val_train": ("jitter",),
        }[self.kind]
        if self.crop_mode != "center":
            unused += ("resize",)
        unused += tuple(name for name, usual in OMITTED.items() if fields[name] == usual)
        return {name: value for name, value in fields.items() if name not in unused}

    @property
    def geometry(self) -> tuple[object, ...]:
        """All that its uint8 pixels depend on: views that are normalised differently may have it in common."""
        spec = self.to_spec()
        return self.fill, *((name, value) for name, value in spec.items() if name not in ("mean", "std"))

    @property
    def fill(self) -> tuple[int, int, int]:
        """Colour of what a crop has beside the photograph: black, or the mean, as timm rounds it."""
        if self.crop_mode != "border":
            return 0, 0, 0
        red, green, blue = (round(255 * float(value)) for value in self.mean)
        return red, green, blue

    def describe(self) -> dict[str, str]:
        """The view in words, by what they are about: crop, resize, normalisation."""
        crops = f"{self.kind}, {self.res} px" + f", {self.count} of an image" * (self.count > 1)
        how = f"antialiased {self.interpolation} ({_WHOSE[self.resampler]})"
        return {
            "Crop": crops,
            "Resize": f"{self._describe_resize()}, {how}",
            "Normalisation": f"pixels in 0..1, mean {', '.join(self.mean)}, std {', '.join(self.std)}",
        }

    def _describe_resize(self) -> str:
        side = resize_side(self.res, self.crop_ratio)
        if self.kind in ("train", "whole"):
            return "a random box to the crop" if self.kind == "train" else "the longest side to the crop"
        if self.crop_mode == "squash":
            return f"all of the image to {side} x {side} px, its proportions lost"
        if self.crop_mode == "border":
            return f"the longest side to {side} px, padded to a square with {', '.join(map(str, self.fill))}"
        return f"the {self.resize.replace('-', ' ')} to {side} px"


OMITTED = {"resampler": "pillow", "crop_mode": "center"}
"""What a field is that a spec does not name: as keys had it before there was another."""

_WHOSE = {"pillow": "Pillow's images", "tensor": "torchvision's tensors"}


def complete_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A view's spec and the fields that it does not name, as far as the view has them."""
    usual = dict(OMITTED)
    if "crop_ratio" not in spec:  # random crops and whole images have no crop mode either
        del usual["crop_mode"]
    return {**usual, **spec}


def is_same(one: object, other: object) -> bool:
    """Whether two values of a field mean the same: numbers are compared as numbers, however they are written."""
    return _read_value(one) == _read_value(other)


def _read_value(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(map(_read_value, value))
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value


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
        known = known and view.crop_mode in CROP_MODES
        known = known and MIN_CROP_RATIO <= float(view.crop_ratio) <= MAX_CROP_RATIO
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
    """(width, height) after Resize, px, with torchvision's rounding: ``int`` floors everything.

    ``border`` rounds, as timm does.
    """
    side = resize_side(view.res, view.crop_ratio)
    if view.crop_mode == "squash":
        return side, side
    if view.crop_mode == "border":
        ratio = max(width / side, height / side)
        return max(1, round(width / ratio)), max(1, round(height / ratio))
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
