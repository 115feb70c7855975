"""What folders of images stand for: places of classes, splits and groups, and notes on how they were told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .tree import Branch, name_some

LAYOUTS = "{train,val,test}/<class>/<images>, <class>/<images>"
EXPECTED = f"{LAYOUTS}, or a table that says each image's class"
BESIDE, NAMELESS = "called like what accompanies images, not like a class", "which say no class"

Folders = Mapping[bytes, Branch]
"""Folders with images, by name."""


class Place(NamedTuple):
    """A folder whose images, however deep, share label, split and group; each is empty where there is none."""

    branch: Branch
    label: str
    split: str = ""
    group: str = ""


@dataclass
class Layout:
    """What folders stand for.

    Attributes
    ----------
    places : list of Place
    parents : list of Branch
        Folders whose folders should hold images.
    notes : list of str
    aside : list of Branch
        Folders that were passed over, with a note on each.
    """

    places: list[Place] = field(default_factory=list)
    parents: list[Branch] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    aside: list[Branch] = field(default_factory=list)

    def pass_over(self, branches: Iterable[Branch], why: str) -> None:
        """Leave folders out, with a note on each."""
        for branch in branches:
            self.notes.append(f"ignored {branch.n} image(s) in {name_some([branch])}, {why}")
            self.aside.append(branch)
