"""Resizing an image: by Pillow's arithmetic, or by the faster one of torchvision's uint8 tensors.

``tensor`` rounds its weights to 16 bits where ``pillow`` keeps 22, and is a quarter of the time: on photographs of
500 x 375 px .34 % of the values of a pixel differ, by 1 or 2 of 255. Pillow-SIMD has the same arithmetic, bit for
bit, and is used where it stands in Pillow's place; elsewhere torch does it.
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import RESAMPLERS

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_OF_TENSORS = ("bilinear", "bicubic")
HAS_PILLOW_SIMD = ".post" in PIL.__version__


def expect_resampler(resampler: str, interpolation: str) -> None:
    """Refuse what this installation cannot compute bit for bit.

    Raises
    ------
    UsageError
        If the resampler is unknown, has not this interpolation, or Pillow-SIMD stands where Pillow should.
    """
    if resampler not in RESAMPLERS:
        raise UsageError(f"found the resampler {resampler!r}; expected one of {', '.join(RESAMPLERS)}.")
    if resampler == "tensor" and interpolation not in _OF_TENSORS:
        raise UsageError(f"--resampler tensor has no {interpolation} interpolation; expected --resampler pillow.")
    if resampler == "pillow" and HAS_PILLOW_SIMD:
        raise UsageError("found Pillow-SIMD, whose pixels are not Pillow's; expected --resampler tensor.")


def needs_torch(resampler: str) -> bool:
    """Whether resizing imports torch here."""
    return resampler == "tensor" and not HAS_PILLOW_SIMD


def resize_image(image: Image.Image, size: tuple[int, int], interpolation: str, resampler: str) -> Image.Image:
    """An image resized to (width, height), px, with antialiasing.

    Parameters
    ----------
    image : PIL image, RGB
    size : (width, height), px
    interpolation : str
        One of `fixgrid.cache.view.INTERPOLATIONS`.
    resampler : {"pillow", "tensor"}
        See the module; `expect_resampler` says which there are here.

    Returns
    -------
    PIL image
        RGB, or RGBX, whose fourth byte means nothing: see `read_pixels`.
    """
    if not needs_torch(resampler):
        return image.resize(size, FILTERS[interpolation])
    torch = importlib.import_module("torch")
    # Four bytes a pixel, as Pillow holds it and torch computes it: three would be spread to four and back.
    flat = torch.frombuffer(_share_pixels(image), dtype=torch.uint8).view(1, image.height, image.width, 4)
    resized = torch.nn.functional.interpolate(
        flat.permute(0, 3, 1, 2), size[::-1], mode=interpolation, antialias=True
    )
    channels_last = resized.permute(0, 2, 3, 1).contiguous().numpy()
    return Image.frombuffer("RGBX", size, channels_last, "raw", "RGBX", 0, 1)


def read_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """The values of an RGB or RGBX image: uint8 (height, width, 3)."""
    return np.frombuffer(image.tobytes("raw", "RGB"), np.uint8).reshape(image.height, image.width, 3)


class _ArrowArray(ctypes.Structure):
    """The head of the Arrow C data interface's structure."""


_ArrowArray._fields_ = [
    *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
]


def _share_pixels(image: Image.Image) -> Any:
    """A buffer of an RGB image's own pixels, four bytes each, good for as long as the image is held.

    Copying them takes .1 ms of a photograph's 1.6 (decoded and resized).
    """
    try:
        _, capsule = image.__arrow_c_array__()
    except ValueError:  # an image of 16 MiB and more lies in several blocks
        return bytearray(image.tobytes("raw", "RGBX"))
    of = ctypes.pythonapi.PyCapsule_GetPointer
    of.restype, of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    values = _ArrowArray.from_address(of(capsule, b"arrow_array")).children[0].contents  # a list of four a pixel
    return (ctypes.c_uint8 * (4 * image.width * image.height)).from_address(values.buffers[1])
