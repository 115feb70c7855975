"""What must be said of a trunk that has seen the labels of the images it is scored on."""

from __future__ import annotations

import textwrap

from fixgrid.cache.holdings import Holdings
from fixgrid.cache.text import WIDTH

LEAK = (
    "Leak: this trunk was trained with ImageNet's labels. If your images come from ImageNet (Stanford Dogs does), "
    "it has seen them, test images included, and every figure here is optimistic."
)


def warn_of_leak(*holdings: Holdings) -> str:
    """`LEAK` if any of the features are by such a trunk, else nothing."""
    entries = (entry for one in holdings for entry in one.entries.values())
    return LEAK if any(entry.provenance.get("imagenet_labels") for entry in entries) else ""


def say_below(warning: str, style: str) -> str:
    """A warning as it stands below a table for people; formats for programs have a field for it, or none."""
    if not warning or style in ("csv", "json"):
        return ""
    return "\n" + textwrap.fill(warning, WIDTH, subsequent_indent="  ") + "\n"
