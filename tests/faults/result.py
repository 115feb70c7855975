"""What a suite injected and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Result:
    """Counts of one suite.

    Attributes
    ----------
    suite : str
    injected : dict of kind to int
        ``kills``, ``errors`` (I/O), ``files`` (corrupted), ``attacks``, ``checks``.
    lost, wrong, crashes : int
        Rows reported done and then missing; rows that differ from the truth and were believed; main processes
        that ended otherwise than they should.
    control : str
        What the same faults do to plain h5py.
    failures : list of str
        One line for each thing that went wrong.
    """

    suite: str
    injected: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    wrong: int = 0
    crashes: int = 0
    control: str = ""
    failures: list[str] = field(default_factory=list)

    def count(self, kind: str) -> None:
        """One more fault of a kind."""
        self.injected[kind] = self.injected.get(kind, 0) + 1

    def fail(self, line: str, *, lost: int = 0, wrong: int = 0, crashes: int = 0) -> None:
        """Something went wrong."""
        self.failures.append(line)
        self.lost, self.wrong, self.crashes = self.lost + lost, self.wrong + wrong, self.crashes + crashes

    @property
    def survived(self) -> int:
        """Faults after which nothing was wrong."""
        return sum(self.injected.values()) - len(self.failures)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, wrong or ended otherwise than it should."""
        return not (self.failures or self.lost or self.wrong or self.crashes)
