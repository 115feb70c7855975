"""A place for one worker on a machine of a cluster: what of the engine runs there."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fixgrid.cache.errors import FixgridError

from ..job import Receipt, ShardJob
from ..sizing import Sizing
from ..sources.catalogue import open_content
from ..trunks.library import find_version
from ..versions import PACKAGES
from .deaths import WorkerError
from .engine import Course
from .local import LocalEngine
from .parcel import Parcel, unpack
from .queue import JobQueue

Answer = Receipt | FixgridError | str
"""What a job gives: receipts, an error that ends the run, or a line for the user."""


def list_versions() -> dict[str, str]:
    """What machines that work together must have in common."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | {package: find_version(package) for package in ("fixgrid", "ray", *PACKAGES)}


@dataclass(frozen=True)
class Terms:
    """What a machine must have to take part.

    Attributes
    ----------
    versions : mapping of str to str
        See `list_versions`.
    beacon : Path
        A file of this moment in the cache.
    sample : ShardJob
        Of one image.
    """

    versions: Mapping[str, str]
    beacon: Path
    sample: ShardJob

    def expect_met(self, host: str) -> None:
        """Refuse a machine that lacks something.

        Raises
        ------
        WorkerError
        """
        mine = list_versions()
        for package, wanted in self.versions.items():
            if mine[package] != wanted:
                raise WorkerError(
                    f"found {package} {mine[package] or 'missing'} on {host}, expected {wanted or 'none'} as here: "
                    "install the same versions on all machines of the cluster."
                )
        shared = "expected one file system under the same path on all machines of the cluster."
        if not self.beacon.exists():
            raise WorkerError(f"found no {self.beacon.parent} of this run on {host}, where features go; {shared}")
        try:
            open_content(self.sample.root, self.sample.opener).read(self.sample.paths[0])
        except (OSError, FixgridError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise WorkerError(f"{host} cannot read images of {self.sample.root} ({reason}); {shared}") from error


class Slot:
    """Survives its worker, which a `LocalEngine` minds: an image that ends its decoder is known by name.

    Parameters
    ----------
    sizing : Sizing
        Of one worker.
    """

    def __init__(self, sizing: Sizing) -> None:
        self._held, self._lines = ExitStack(), list[str]()
        self._stopped, self._begun, self._said = False, 0, 0
        self._engine = LocalEngine(sizing, Course(lambda: self._stopped, self._count, self._lines.append))
        # What the worker writes to stderr is for the user, who is elsewhere.
        self._errors = self._held.enter_context(tempfile.TemporaryFile("ab+"))  # noqa: SIM115
        sys.stderr.flush()
        os.dup2(self._errors.fileno(), 2)

    def _count(self, rows: int) -> None:
        self._begun = rows

    def begin(self, terms: Terms, parcel: Parcel) -> FixgridError | None:
        """Get ready; what is wrong with this machine, if anything is."""
        import ray

        here = ray.get_runtime_context().get_node_id()
        self._host = "" if here == parcel.home else platform.node()
        try:
            terms.expect_met(platform.node())
            openers = self._held.enter_context(unpack(parcel, ray))
            self._do: Callable[[JobQueue], Iterator[Receipt]] = self._held.enter_context(self._engine.open(openers))
        except FixgridError as error:
            return error
        return None

    def work(self, job: ShardJob) -> Iterator[Answer]:
        """Do a job."""
        try:
            for receipt in self._do(JobQueue([job])):
                yield from self._take_lines()
                yield receipt
        except FixgridError as error:
            yield from self._take_lines()
            yield type(error)(f"on {self._host}: {error}") if self._host else error

    def _take_lines(self) -> Iterator[str]:
        """What there is to say since the last time."""
        said = os.pread(self._errors.fileno(), 1 << 16, self._said)
        self._said += len(said)
        lines = [*said.decode(errors="replace").splitlines(), *self._lines]
        self._lines.clear()
        yield from (f"{self._host}: {line}" if self._host else line for line in lines)

    def count(self) -> int:
        """Rows begun in the job at hand; asked for while `work` runs, as are those below."""
        return self._begun

    def stop(self) -> None:
        """Commit what there is at the next batch edge."""
        self._stopped = True

    def end(self) -> None:
        """End the worker, whatever it is at, and leave nothing behind."""
        self._held.close()
