"""What is in the cell of a label: one text, or several in a list or joined by a sign."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

Cells = Sequence[str | tuple[str, ...]]
"""A text each, or several where the format has lists."""

_LIST = re.compile(r"\[([^\[\]]*)\]")
_LISTED = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,"']+))\s*,?""")
_MOST_RECUR = 0.8  # of the parts of joint labels: names that only look joint hardly share any


def clean_label(text: str) -> str:
    r"""A label without blanks around it, as any encoder accepts it: bytes that are no text become ``\xff``."""
    return text.strip().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_lists(texts: Cells) -> Cells:
    """Texts that are all lists as Python or JSON writes them, ``['cat', 'dog']``, as what is in them."""
    found = [_LIST.fullmatch(text) if isinstance(text, str) else None for text in texts]
    inside = [one[1] for one in found if one]
    if len(inside) < len(texts):
        return texts
    parts = [["".join(part).strip() for part in _LISTED.findall(text)] for text in inside]
    return [tuple(part for part in row if part) for row in parts]


def find_sign(texts: Sequence[str]) -> str:
    """The sign that joins several labels in some of these; empty if each is one.

    ``|`` and ``;`` do if four in five of the parts they make recur in other texts; comma and blank, which names
    have inside, only if all do and each stands alone too, or the texts are at least twice as many as the parts and
    of three lengths. So "retriever, golden" beside "retriever, flat" is one class.

    Parameters
    ----------
    texts : sequence of str
        Each once.
    """
    for mark in "|;, ":
        parts = {text: part_text(text, mark) for text in texts}
        joint = {part for found in parts.values() if len(found) > 1 for part in found}
        if not joint:
            continue
        count = Counter(part for found in parts.values() for part in set(found))
        recurring = sum(count[part] > 1 for part in joint) / len(joint)
        if mark in "|;":
            if recurring >= _MOST_RECUR:
                return mark
            continue
        alone = {found[0] for found in parts.values() if len(found) == 1}
        crossed = len(texts) >= 2 * len(count) and len({len(found) for found in parts.values()}) > 2
        if recurring == 1 and (joint <= alone or crossed):
            return mark
    return ""


def part_text(text: str | tuple[str, ...], mark: str) -> list[str]:
    """The parts of a label that a sign joins, blanks at their ends taken off, none empty."""
    parts = [*text] if isinstance(text, tuple) else text.split(mark if mark.strip() else None) if mark else [text]
    return [part.strip() for part in parts if part.strip()]
