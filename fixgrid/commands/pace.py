"""What is said of long work, and when: pure decisions on times that are given."""

from __future__ import annotations

from dataclasses import dataclass, field

from fixgrid.cache.phase import say_rate

FIRST_AFTER_S, EVERY_S = 0.4, 10.0
_LEAST_S = 1.0  # of work, before its speed says anything


def say_time(seconds: float) -> str:
    """A length of time for people: ``38 s``, ``2 min 10 s``, ``12 min``, ``1 h 12 min``."""
    minutes = round(seconds / 60)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 595:
        tens = round(seconds / 10)
        return f"{tens // 6} min" + f" {tens % 6}0 s" * bool(tens % 6)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@dataclass
class Pace:
    """How far a command is, and when that was said last.

    Times are monotonic seconds.

    Attributes
    ----------
    began : float
        When the command did.
    name, units : str
        What is under way, and of what there are parts.
    done, total : int
        Parts; no total is 0.
    share : float
        Of the work, 0 to 1, by what its parts cost.
    expected_s : float or None
        What all of it should take, by earlier runs.
    """

    began: float
    name: str = "loading libraries"
    units: str = ""
    done: int = 0
    total: int = 0
    share: float = 0.0
    expected_s: float | None = None
    _said: float | None = None
    _since: float = field(init=False)
    _first: tuple[int, float] = (0, 0.0)

    def __post_init__(self) -> None:
        self._since = self.began

    def begin(
        self, now: float, name: str, done: int = 0, total: int = 0, units: str = "", expected_s: float | None = None
    ) -> None:
        """Other work is under way."""
        share = done / total if total else 0.0
        self.name, self.units, self.done, self.total, self.share = name, units, done, total, share
        self.expected_s, self._since, self._first = expected_s, now, (done, share)

    def go_on(self, done: int, share: float | None = None) -> None:
        """So many parts are done, or so large a share of what they cost."""
        self.done = done
        self.share = share if share is not None else done / self.total if self.total else 0.0

    def note_said(self, now: float) -> None:
        """Something was shown, whatever it was."""
        self._said = now

    def is_due(self, now: float) -> bool:
        """Whether it was silent for long enough to say something."""
        return now - self.began >= FIRST_AFTER_S if self._said is None else now - self._said >= EVERY_S

    def say(self, now: float) -> str:
        """What is under way, how fast, and how much longer that will take, as far as is known."""
        if not self.total:
            spent = now - self._since
            return f"{self.name}, {say_time(spent)}" if spent >= EVERY_S / 2 else self.name
        parts = [f"{self.name}: {self.done} of {self.total} {self.units}".rstrip()]
        spent, (first, share) = now - self._since, self._first
        if self.done > first and spent >= _LEAST_S and self.units:
            parts.append(say_rate((self.done - first) / spent, self.units))
        left = self._estimate(spent, self.share - share)
        return ", ".join([*parts, *([f"{say_time(left)} left"] if left is not None else [])])

    def _estimate(self, spent: float, gained: float) -> float | None:
        """Seconds left: by the speed so far, or before that says anything, by earlier runs."""
        if gained > 0 and spent >= _LEAST_S:
            return spent * (1 - self.share) / gained
        return None if self.expected_s is None else max(self.expected_s - spent, 0.0)
