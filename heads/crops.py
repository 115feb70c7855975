"""Python that makes a head's pixels of an image's file, by the view that it was fitted on. Pure text.

Two functions: ``read_rgb(path)`` decodes as `fixgrid.embed.decode` does, ``crop(image)`` sees a center view as
`fixgrid.embed.views` does. What they give is equal to the bit, by Pillow or by torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fixgrid.cache.errors import CacheError
from fixgrid.cache.scale import USUAL, Scale
from fixgrid.cache.view import View, read_view, resize_side

LIBRARIES = ("pillow", "torchvision")
"""What may crop. Views of the resampler ``tensor`` are torchvision's alone."""

_READ = '''\
def read_rgb(path):
    """An upright RGB image; transparency is laid over white."""
    image = {opened}
    if image.mode[0] in "IF":  # grey of more than 8 bits
{squeezed}
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
'''
_USUAL = """\
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("found grey values that are not of 16 bits")
        image = Image.fromarray(((values.astype(int) + 128) // 257).astype(np.uint8))"""
_OPENED = """\
Image.open(path)
    if image.mode[0] not in "IF" and ";16" in str(image.tile):
        raise ValueError("found colours of 16 bits, of which Pillow keeps 8: the scale needs all")
    image = ImageOps.exif_transpose(image)"""
_SCALED = """\
        shares = (np.asarray(image, np.float64) - {low}) * (255 / ({high} - {low}))
        if not np.isfinite(shares).all():
            raise ValueError("found grey values that are not finite")
        image = Image.fromarray(np.floor(np.clip(shares, 0, 255) + 0.5).astype(np.uint8))"""

_SIZES = {
    "short-side": """\
    width, height = image.size
    size = ({side}, int({side} * height / width)) if width <= height else (int({side} * width / height), {side})
""",
    "height": """\
    size = max(1, int({side} * image.width / image.height)), {side}
""",
    "squash": """\
    size = {side}, {side}
""",
    "border": """\
    ratio = max(image.size) / {side}
    size = tuple(max(1, round(side / ratio)) for side in image.size)
""",
}
_CROP = '''\
def crop(image):
    """What the head sees of it: uint8 ({res}, {res}, 3)."""
'''
_PILLOW = """\
    image = image.resize(size, Image.Resampling.{filter})
    left, top = ({offset} for side in size)
"""
_OFFSET = "round((side - {res}) / 2)"
_OFFSET_FRAMED = "round((side - {res}) / 2) if side >= {res} else (side - {res} + 1) // 2"
_CUT = "    return np.asarray(image.crop((left, top, left + {res}, top + {res})))\n"
_PASTED = """\
    frame = Image.new("RGB", ({res}, {res}), {fill})
    frame.paste(image, (-left, -top))
    return np.asarray(frame)
"""
_COMPOSED = '''\
transform = v2.Compose([v2.Resize({to}, v2.InterpolationMode.{filter}), v2.CenterCrop({res})])


def crop(image):
    """What the head sees of it: uint8 ({res}, {res}, 3)."""
    return np.asarray(transform(image))
'''
_RESIZED = "    image = v2.functional.resize(image, size[::-1], v2.InterpolationMode.{filter})\n"
_INTERPOLATED = """\
    pixels = v2.functional.pil_to_tensor(image)[None]
    image = torch.nn.functional.interpolate(pixels, size[::-1], mode="{interpolation}", antialias=True)[0]
"""
_PADDED = """\
    across, down = (max(0, {res} - side) for side in size)
    padding = [across // 2, down // 2, across - across // 2, down - down // 2]
    image = v2.functional.pad(image, padding, {fill})
"""
_CENTERED = "    image = v2.functional.center_crop(image, [{res}, {res}])\n"


def write_reading(scale: Scale = USUAL) -> str:
    """Python of ``read_rgb``, with its imports.

    Parameters
    ----------
    scale : Scale
        Of values above 8 bits. Of any but the usual one colours of 16 bits are refused, since Pillow keeps half of
        them; grey is exact.
    """
    if scale.is_usual:
        opened, squeezed = "ImageOps.exif_transpose(Image.open(path))", _USUAL
    else:
        opened, squeezed = _OPENED, _SCALED.format(low=float(scale.low), high=float(scale.high))
    imports = "import numpy as np\nfrom PIL import Image, ImageOps\n\n\n"
    return imports + _READ.format(opened=opened, squeezed=squeezed)


def choose_library(view: View, wanted: str) -> str:
    """Which of `LIBRARIES` crops a view exactly: the wanted one, if it can."""
    return "torchvision" if view.resampler == "tensor" else wanted


def write_crop(view: View, library: str) -> str:
    """Python of ``crop``, with its imports.

    Parameters
    ----------
    view : View
        Of kind ``center``.
    library : str
        One of `LIBRARIES`, see `choose_library`.
    """
    rule = view.resize if view.crop_mode == "center" else view.crop_mode
    words: dict[str, Any] = {
        "res": view.res,
        "side": resize_side(view.res, view.crop_ratio),
        "filter": view.interpolation.upper(),
        "interpolation": view.interpolation,
        "fill": view.fill,
    }
    if library == "pillow":
        code = _write_pillow(rule, framed=rule in ("height", "border") or words["side"] < view.res)
        return "import numpy as np\nfrom PIL import Image\n\n\n" + code.format(**words)
    imports = "import numpy as np\nfrom torchvision.transforms import v2\n"
    if view.resampler == "tensor":
        code = _CROP + _SIZES[rule] + _INTERPOLATED + _PADDED * (rule == "border") + _CENTERED
        code += "    return image.permute(1, 2, 0).numpy()\n"
        return "import torch\nfrom torchvision.transforms import v2\n\n\n" + code.format(**words)
    if rule in ("short-side", "squash"):
        to = "{side}" if rule == "short-side" else "({side}, {side})"
        return imports + "\n" + _COMPOSED.replace("{to}", to).format(**words)
    code = _CROP + _SIZES[rule] + _RESIZED + _PADDED * (rule == "border") + _CENTERED
    return imports + "\n\n" + (code + "    return np.asarray(image)\n").format(**words)


def _write_pillow(rule: str, framed: bool) -> str:
    code = _CROP + _SIZES[rule] + _PILLOW.replace("{offset}", _OFFSET_FRAMED if framed else _OFFSET)
    return code + (_PASTED if rule == "border" else _CUT)


def describe_preprocess(view_spec: Mapping[str, Any], decode: Mapping[str, Any]) -> dict[str, Any]:
    """What an exported file says of the pixels that it takes, for JSON; empty of what has no single crop.

    Parameters
    ----------
    view_spec, decode : mapping
        Of a head: its view, and the decode policy of its trunk's key.

    Returns
    -------
    dict
        ``input``, ``decode``, ``view``, ``resized_side`` (px) and ``python``: the code by library.
    """
    try:
        view, scale = read_view(view_spec), Scale.from_decode(decode)
    except CacheError:
        return {}
    if view.kind != "center":
        return {}
    exact = [name for name in LIBRARIES if choose_library(view, name) == name]
    return {
        "input": f"uint8 (B, {view.res}, {view.res}, 3), RGB",
        "decode": dict(decode),
        "view": view.to_spec(),
        "resized_side": resize_side(view.res, view.crop_ratio),
        "python": {name: join_code(write_reading(scale), write_crop(view, name)) for name in exact},
    }


def join_code(*parts: str) -> str:
    """Pieces of Python as one: what they import first, sorted and each name once, then their bodies."""
    modules, names, bodies = set[str](), dict[str, set[str]](), []
    for part in parts:
        body = []
        for line in part.splitlines():
            word, _, rest = line.partition(" ")
            if word == "import":
                modules.add(rest)
            elif word == "from":
                module, _, listed = rest.partition(" import ")
                names.setdefault(module, set()).update(listed.split(", "))
            else:
                body.append(line)
        bodies.append("\n".join(body).strip("\n"))
    own = ["import json"] * ("json" in modules)
    others = [f"import {name}" for name in sorted(modules - {"json"})]
    others += [
        f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names, key=str.lower)
    ]
    return "\n\n\n".join(["\n\n".join("\n".join(group) for group in (own, others) if group), *bodies]) + "\n"
