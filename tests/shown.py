"""What every drawing must be: pixels that decode and show something, an SVG that is named, and numbers."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
from PIL import Image

from fixgrid.heads.drawings import Drawing


def expect_shown(drawing: Drawing) -> None:
    """The PNG has ink on its paper, the SVG is one element with the alt text, the records have equal fields."""
    with Image.open(io.BytesIO(drawing.png)) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] >= 360
    assert 0.005 < (pixels < 200).mean() < 0.9
    assert len({tuple(record) for record in drawing.records}) == 1
    assert drawing.alt.endswith(".")
    if drawing.svg:
        root = ET.fromstring(drawing.svg)
        assert (root.tag, root.attrib["role"], root.attrib["aria-label"]) == ("svg", "img", drawing.alt)
