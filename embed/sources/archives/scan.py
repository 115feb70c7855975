"""What is found in a container when it is listed, and which of its members are images, by their names alone."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fixgrid.cache.strings import Strings

from ..walk import HIDDEN, OTHER, Passed, is_hidden, is_image
from .index import Index

ODD = "member(s) whose name leads out of where they lie"
_TEXTS = (b".cls", b".json")  # beside images of the same key in WebDataset's shards
_MOST_TEXT = 1 << 20


@dataclass(frozen=True, eq=False)
class Scan:
    """A container's members.

    Attributes
    ----------
    index : Index
        Of the images.
    text_names, texts : Strings
        Small files that may say what images are, and their content.
    others : Counter of (str, bytes)
        How many were passed over, by why and suffix.
    """

    index: Index
    text_names: Strings
    texts: Strings
    others: Counter[tuple[str, bytes]]

    def list_passed(self) -> list[Passed]:
        """What was passed over, as a walk has it."""
        return [one for (why, suffix), n in sorted(self.others.items()) for one in [Passed(b"x" + suffix, why)] * n]


@dataclass
class Gathering:
    """A scan in the making."""

    names: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    texts: dict[bytes, bytes] = field(default_factory=dict)
    others: Counter[tuple[str, bytes]] = field(default_factory=Counter)

    def add(self, name: bytes, start: int, length: int, size: int, read: Callable[[], bytes]) -> None:
        """One more file, of so many bytes in the container and outside, read now if it may say what images are."""
        while name.startswith(b"./"):
            name = name[2:]
        parts = name.split(b"/")
        if b"\0" in name or any(part in (b"", b".", b"..") for part in parts):
            self.pass_over(name, ODD)
        elif any(map(is_hidden, parts)):
            self.pass_over(name, HIDDEN)
        elif is_image(name):
            self.names.append(name)
            self.starts.append(start)
            self.lengths.append(length)
        elif name.endswith(_TEXTS) and size <= _MOST_TEXT:
            self.texts[name] = read()
        else:
            self.pass_over(name, OTHER)

    def pass_over(self, name: bytes, why: str) -> None:
        """One that is not read."""
        self.others[why, posixpath.splitext(name)[1].lower()] += 1

    def finish(self) -> Scan:
        """All of them."""
        index = Index(Strings.gather(self.names), np.array(self.starts, np.int64), np.array(self.lengths, np.int64))
        return Scan(index, Strings.gather(self.texts), Strings.gather(self.texts.values()), self.others)
