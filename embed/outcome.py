"""What a pass over the images did, and how that is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from fixgrid.cache.phase import say_rate
from fixgrid.cache.quarantine import BadRow
from fixgrid.cache.text import show_path

from .clock import Share

_SHOWN = 20  # images without features; a file has all


@dataclass
class Outcome:
    """What a pass over the images did, for all of its trunks.

    Attributes
    ----------
    computed, adopted : int
        Rows (of a key) that were missing, and those copied from other keys.
    passes : int
        Keys for which a trunk ran.
    bad : list of BadRow
        Images without features, one per image.
    images : int
        Rows of all splits.
    decoded, forwards : int
        Images decoded, each once for all trunks, and crops run through them.
    shared : int
        Images that another run on the same cache committed meanwhile.
    stages : mapping of stage to s
        Summed over workers.
    shares : list of Share
        What of it was for each trunk, in their order.
    wall_s : float
    part : str
        As in ``1/4``, if these are of a part of the rows, which nobody has judged or sealed; else empty.
    left : int
        Images that other parts still lack.
    """

    computed: int = 0
    adopted: int = 0
    passes: int = 0
    bad: list[BadRow] = field(default_factory=list)
    images: int = 0
    decoded: int = 0
    forwards: int = 0
    shared: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    shares: list[Share] = field(default_factory=list)
    wall_s: float = 0.0
    part: str = ""
    left: int = 0

    @classmethod
    def join(cls, outcomes: Sequence[Outcome]) -> Outcome:
        """What several passes over the same images did, one after another."""
        if len(outcomes) == 1:
            return outcomes[0]
        bad = {(row.split, row.row): row for outcome in reversed(outcomes) for row in outcome.bad}
        whole = cls(bad=[bad[place] for place in sorted(bad)], images=max(outcome.images for outcome in outcomes))
        for outcome in outcomes:
            for name in ("computed", "adopted", "passes", "decoded", "forwards", "shared", "wall_s"):
                setattr(whole, name, getattr(whole, name) + getattr(outcome, name))
            whole.stages.update(outcome.stages)
            whole.shares += outcome.shares
        whole.part, whole.left = outcomes[0].part, max(outcome.left for outcome in outcomes)
        return whole

    def list_skipped(self, names: Sequence[bytes] = ()) -> list[str]:
        """A line for each of the first images without features, by path or, of one split, by ``names``."""
        lines = []
        for row in self.bad[:_SHOWN]:
            name = show_path(names[row.row] if names else row.path)
            lines.append(f"skipped {name}: {row.status.name.lower()}, {row.reason}")
        if len(self.bad) > _SHOWN:
            lines.append(f"... and {len(self.bad) - _SHOWN} more, listed in quarantine.jsonl beside the features")
        return lines

    def count(self) -> dict[str, int | float]:
        """What was done, in numbers."""
        return {
            "images": self.images,
            "decoded": self.decoded,
            "crops": self.forwards,
            "adopted": self.adopted,
            "bad": len(self.bad),
            "trunk_passes": self.passes,
            "seconds": round(self.wall_s, 3),
        }

    def describe(self) -> str:
        """What was done, in a line."""
        if self.part:
            return f"part {self.part}: {self._describe_done()}; {self._describe_left()}"
        return self._describe_done()

    def _describe_left(self) -> str:
        if self.left:
            return f"{self.left} images are left to other parts, and then to extract without --part, which seals"
        return "no image is left: extract without --part seals the features"

    def _describe_done(self) -> str:
        if not self.computed and not self.adopted:
            return f"all features of {self.images} images were cached; the trunk ran 0 times"
        speed = f" ({say_rate(self.decoded / self.wall_s, 'images')})" if self.decoded else ""
        shared = f", {self.shared} images by another run" * bool(self.shared)
        return (
            f"{self.decoded} images decoded, {self.forwards} crops through the trunk in {self.wall_s:.1f} s"
            f"{speed}; {self.adopted} rows taken over{shared}, {len(self.bad)} images skipped"
        )
