"""What an extraction did, and how that is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from fixgrid.cache.entry import Entry
from fixgrid.cache.text import show_path
from fixgrid.cache.view import View

from .job import BadRow

_SHOWN = 20  # images without features; a file has all


@dataclass
class Outcome:
    """What an extraction did.

    Attributes
    ----------
    entries : mapping of (split, view) to Entry
        Sealed.
    computed, adopted : int
        Rows (of a key) that were missing, and those copied from other keys.
    passes : int
        Keys for which the trunk ran.
    bad : list of BadRow
        Images without features, one per image.
    images : int
        Rows of all splits.
    decoded, forwards : int
        Images decoded and crops run through the trunk.
    shared : int
        Images that another run on the same cache committed meanwhile.
    crops : mapping of px to int
        Crops that were missing, by resolution.
    stages : mapping of stage to s
        Summed over workers.
    wall_s : float
    """

    entries: dict[tuple[str, View], Entry] = field(default_factory=dict)
    computed: int = 0
    adopted: int = 0
    passes: int = 0
    bad: list[BadRow] = field(default_factory=list)
    images: int = 0
    decoded: int = 0
    forwards: int = 0
    shared: int = 0
    crops: Counter[int] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0



def list_skipped(outcome: Outcome, names: Sequence[bytes] = ()) -> list[str]:
    """A line for each of the first images without features, by their paths or, of one split, by ``names``."""
    lines = []
    for row in outcome.bad[:_SHOWN]:
        name = show_path(names[row.row] if names else row.path)
        lines.append(f"skipped {name}: {row.status.name.lower()}, {row.reason}")
    if len(outcome.bad) > _SHOWN:
        lines.append(f"... and {len(outcome.bad) - _SHOWN} more, listed in quarantine.jsonl beside the features")
    return lines


def describe_outcome(outcome: Outcome) -> str:
    """What an extraction did, in a line."""
    if not outcome.computed and not outcome.adopted:
        return f"all features of {outcome.images} images were cached; the trunk ran 0 times"
    rate = outcome.decoded / outcome.wall_s
    shared = f", {outcome.shared} images by another run" * bool(outcome.shared)
    return (
        f"{outcome.decoded} images decoded, {outcome.forwards} crops through the trunk in {outcome.wall_s:.1f} s "
        f"({rate:.1f} images/s); {outcome.adopted} rows taken over{shared}, {len(outcome.bad)} images skipped"
    )
