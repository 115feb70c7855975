"""The Python of a model card: how an exported file is opened, and the pixels that it takes are made. Pure text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from fixgrid.cache.errors import CacheError
from fixgrid.cache.scale import Scale
from fixgrid.cache.view import View, read_view

from .artifact import SavedHead
from .crops import LIBRARIES, choose_library, join_code, write_crop, write_reading


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside what the head's file holds.

    Attributes
    ----------
    use : str
        Python that opens the file: of `heads.uses.list_uses`, or its like, with the names that stand for others.
    file, record : str
        Names of the exported file and of the JSON beside it.
    licence : str
        Of the trunk's weights; empty if it is not known.
    leak : str
        The warning to give if the trunk has seen ImageNet's labels.
    version : str
        Of fixgrid.
    crops_by : str
        Which of `heads.crops.LIBRARIES` makes the pixels that `use` takes; empty if it takes none.
    """

    use: str
    file: str
    record: str
    licence: str
    leak: str
    version: str
    crops_by: str = ""


def fill_use(saved: SavedHead, facts: CardFacts) -> str:
    """Python that opens the exported file, with the names in it filled in, behind that which makes its pixels."""
    # A name in backquotes must not end the code block; Python reads the escape.
    quoted = {
        "FILE": json.dumps(facts.file).replace("`", "\\u0060"),
        "RECORD": json.dumps(facts.record).replace("`", "\\u0060"),
        "PHOTO": '"photo.jpg"',
        "RES": str(saved.view.get("res", "R")),
    }
    use = re.sub(rf"\b({'|'.join(quoted)})\b", lambda found: quoted[found[0]], facts.use)
    seen = _read_seen(saved) if facts.crops_by else None
    if seen is None:
        return use
    view, scale = seen
    return join_code(write_reading(scale), write_crop(view, choose_library(view, facts.crops_by)), use)


def _read_seen(saved: SavedHead) -> tuple[View, Scale] | None:
    """The view and the scale of a head that sees one center crop; None of any other."""
    try:
        view, scale = read_view(saved.view), Scale.from_decode(saved.trunk.get("decode", {}))
    except CacheError:
        return None
    return (view, scale) if view.kind == "center" else None


_OTHERS = (
    "Other pixels give other answers: another filter, a resize without one against aliasing (`cv2.resize`, "
    "`torch.nn.functional.interpolate`), the whole image where the center is meant. What `fixgrid predict` refuses "
    "(above 50 million pixels, sides in a ratio over 100, TIFF files that Pillow misreads) is not refused here."
)
_HALVES = (
    "Colours of 16 bits are refused, for Pillow keeps half of them and the scale needs all; 16-bit grey is exact."
)
_OF_TENSORS = (
    "The head was fitted on pixels of torchvision's tensors. Those of Pillow's own resize are 1 or 2 of 255 off on "
    ".3 % of the values."
)


def show_crops(saved: SavedHead, crops_by: str) -> list[str]:
    """Python that makes the pixels, as far as the example of use has not shown it, and how exact that is."""
    seen = _read_seen(saved)
    if seen is None:
        return []
    view, scale = seen
    first = choose_library(view, crops_by or "pillow")
    parts = [
        f"`read_rgb` and `crop` {'above' if crops_by else 'below'} give the head's pixels to the bit. {_OTHERS}"
    ]
    parts += [_HALVES] * (not scale.is_usual) + [_OF_TENSORS] * (view.resampler == "tensor")
    if not crops_by:
        parts.append(f"```python\n{join_code(write_reading(scale), write_crop(view, first))}```")
    for other in LIBRARIES:
        if other != first and choose_library(view, other) == other:
            parts += [
                f"`crop` by {_NAMES[other]}, which gives the same:",
                f"```python\n{write_crop(view, other)}```",
            ]
    return parts


_NAMES = {"pillow": "Pillow alone", "torchvision": "torchvision"}
