"""Kinds of features: where in a trunk they are taken, and how a layer's cells become one vector. Free of torch.

A trunk runs once for all kinds that are asked for; each is a key of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from fixgrid.cache.errors import UsageError

POOLED = "pooled"
"""What the trunk's own classifier is given: the default."""

POOLINGS = ("cls", "patch_mean", "gem")
"""How the cells of a layer become one vector."""

PROJECTED = "projected"
"""The kind of features that a text tower shares."""
_PART = re.compile(rf"(?:{POOLED}|{PROJECTED}|last([1-9]\d?)|(?:{'|'.join(POOLINGS)})(?:@([A-Za-z_][\w.]*))?)")


class Part(NamedTuple):
    """One vector of a kind of features.

    Attributes
    ----------
    how : str
        `POOLED`, ``projected``, ``last`` or one of `POOLINGS`.
    layer : str
        Name of the module whose output is pooled; the trunk's last layer if empty.
    blocks : int
        How many of the last blocks ``last`` takes.
    """

    how: str
    layer: str = ""
    blocks: int = 0


def read_nodes(asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """Kinds of features from ``pooled,cls+patch_mean`` or several texts, without repeats; `POOLED` from nothing.

    Raises
    ------
    UsageError
        If one is none.
    """
    texts = asked.split(",") if isinstance(asked, str) else asked or ()
    nodes = tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))
    for node in nodes:
        read_parts(node)
    return nodes or (POOLED,)


def read_parts(node: str) -> list[Part]:
    """The vectors that a kind of features joins, in order.

    ``pooled``
        what the classifier is given;
    ``cls``, ``patch_mean``, ``gem``
        the class token, the mean over all other tokens or cells, and their generalised mean with p = 3 (Radenovic
        et al. 2018, section 3.2) in the last layer; ``gem@layer3`` in the layer of that name;
    ``lastN``
        the class tokens of the last N blocks behind the final norm, as DINOv2's linear protocol takes them (Oquab
        et al. 2023, appendix B.3);
    ``projected``
        behind a projection into another space, such as CLIP's.

    ``+`` joins several.

    Raises
    ------
    UsageError
        If it names none.
    """
    parts = []
    for text in node.split("+"):
        found = _PART.fullmatch(text)
        if found is None:
            raise UsageError(
                f"found the features {text!r}; expected some of {POOLED}, {', '.join(POOLINGS)}, last4, projected, "
                "joined by +, or one of a layer by its name, as in gem@layer3."
            )
        how = "last" if found[1] else text.partition("@")[0]
        parts.append(Part(how, found[2] or "", int(found[1] or 0)))
    return parts
