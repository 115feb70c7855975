"""Heads of class names alone: what is asked of a text tower, and the linear head that its answers are.

Cosines of normalised features with the text embedding of each class, times the logit scale (Radford et al. 2021,
section 3.1.4), are a linear head on features divided by their length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError

from .figures import HeadFigures
from .head_table import format_figures
from .linear import LinearHead

FAMILY = "zero-shot"
TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The seven that were chosen from eighty on ImageNet: ``notebooks/Prompt_Engineering_for_ImageNet.ipynb`` of
https://github.com/openai/CLIP."""


def read_names(asked: Sequence[str]) -> dict[str, str]:
    """What to ask of each class: its name with blanks for ``_``, or what stands behind a ``=``.

    >>> read_names(["great_dane", "n0208=basset hound"])
    {'great_dane': 'great dane', 'n0208': 'basset hound'}

    Raises
    ------
    UsageError
        If there are not two, one is empty, or one comes twice.
    """
    parts = [text.partition("=") for text in asked]
    names = [name.strip() for name, _, _ in parts]
    words = [said.strip() if equals else name.strip().replace("_", " ") for name, equals, said in parts]
    again = [name for name in names if names.count(name) > 1]
    if len(names) < 2 or again or not all((*names, *words)):
        found = f"the class {again[0]!r} twice" if again else f"the classes {', '.join(map(repr, asked)) or 'none'}"
        raise UsageError(f"found {found}; expected two or more different names, as in --classes cat,dog.")
    return dict(zip(names, words, strict=True))


def write_prompts(words: Sequence[str], templates: Sequence[str]) -> list[list[str]]:
    """The prompts of each class.

    Raises
    ------
    UsageError
        If a template has no place for a class.
    """
    wrong = [template for template in templates if "{}" not in template]
    if wrong or not templates:
        raise UsageError(f"found the template {wrong[0] if wrong else ''!r}; expected a {{}} for the class in it.")
    return [[template.replace("{}", word) for template in templates] for word in words]


def build_head(vectors: NDArray[np.float32], scale: float) -> LinearHead:
    """Text embeddings (K, P) as a head on normalised features: its scores are CLIP's logits."""
    return LinearHead(np.float32(scale) * vectors, np.zeros(len(vectors), np.float32), 0.0)


def format_zero_shot(record: Mapping[str, Any], figures: HeadFigures | None, style: str) -> str:
    """How such a head did on test, or that it was not scored, as ``table``, ``md``, ``csv`` or ``json``."""
    if style == "json":
        return json.dumps(record, indent=2) + "\n"
    table = format_figures(figures, style) if figures else ""
    if style == "csv":
        return table
    said = (
        f"zero-shot: {record['classes']} classes by {len(record['templates'])} prompts each, seen at "
        f"{record['test_res']} px\n"
    )
    return f"{said}\n{table}\n{figures.n} test images; 95 % intervals\n" if figures else said
