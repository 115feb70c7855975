"""What a job, or a whole pass, took: seconds of every stage, and the share of each trunk."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

STAGES = ("read", "decode", "view", "trunk", "write")


@dataclass
class Share:
    """What was done for one trunk.

    What several trunks have in common counts for each of them in full, as if it had run alone: images read and
    decoded, and equal crops.

    Attributes
    ----------
    decoded : int
        Images.
    crops : mapping of px to int
        Crops run through it, by resolution.
    stages : mapping of stage to s
        Summed over workers.
    trunk_s : mapping of px to s
        The trunk's own seconds, by resolution.
    """

    decoded: int = 0
    crops: Counter[int] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    trunk_s: Counter[int] = field(default_factory=Counter)

    def add(self, more: Share) -> None:
        """Count what another job did."""
        self.decoded += more.decoded
        self.crops.update(more.crops)
        self.stages.update(more.stages)
        self.trunk_s.update(more.trunk_s)


class Clock:
    """Seconds by stage, by the trunks that they are spent for, and by resolution."""

    def __init__(self) -> None:
        self._seconds: Counter[tuple[str, tuple[int, ...], int]] = Counter()

    @contextmanager
    def time(self, stage: str, trunks: Sequence[int], res: int = 0) -> Iterator[None]:
        """Time a stage, for one trunk or for several at once."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage, tuple(trunks), res] += time.perf_counter() - began  # type: ignore[assignment]

    def read_stages(self) -> dict[str, float]:
        """Seconds of every stage, each counted once."""
        return {stage: sum(s for (name, _, _), s in self._seconds.items() if name == stage) for stage in STAGES}

    def read_share(self, trunk: int, decoded: int, crops: Counter[int]) -> Share:
        """A trunk's share."""
        share = Share(decoded, crops, Counter(dict.fromkeys(STAGES, 0)))
        for (stage, trunks, res), seconds in self._seconds.items():
            if trunk in trunks:
                share.stages[stage] += seconds
                if stage == "trunk":
                    share.trunk_s[res] += seconds
        return share
