"""T3: what a power loss leaves: every prefix of what was written, with unsynced writes dropped or cut."""

from __future__ import annotations

import io
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fixgrid.cache import disk
from fixgrid.cache.errors import FixgridError

from .kills import check, resume
from .result import Result
from .world import Inline, World, fork_extraction

Event = tuple[Any, ...]


class Recorder:
    """Every change that a fork makes to its cache, in order, written to a file when it is done."""

    def __init__(self, log: Path) -> None:
        self.log, self.events = log, list[Event]()

    def install(self) -> None:
        real_fsync, real_replace, real_unlink, real_mkdir = os.fsync, os.replace, Path.unlink, Path.mkdir
        real_ack, real_exit = Inline.acknowledge, os._exit

        def fsync(handle: int) -> None:
            real_fsync(handle)
            self.events.append(("sync", os.readlink(f"/proc/self/fd/{handle}")))

        def replace(source: Path, target: Path) -> None:
            real_replace(source, target)
            self.events.append(("rename", str(source), str(target)))

        def unlink(path: Path, missing_ok: bool = False) -> None:
            real_unlink(path, missing_ok)
            self.events.append(("unlink", str(path)))

        def mkdir(path: Path, *args: Any, **options: Any) -> None:
            real_mkdir(path, *args, **options)
            self.events.append(("mkdir", str(path)))

        def acknowledge(receipt: Any) -> None:
            real_ack(receipt)
            self.events.append(("ack", receipt.start, receipt.stop))

        def leave(code: int) -> None:
            self.log.write_bytes(pickle.dumps(self.events))
            real_exit(code)

        os.fsync, os.replace, os._exit = fsync, replace, leave
        Path.unlink, Path.mkdir = unlink, mkdir
        Inline.acknowledge = staticmethod(acknowledge)
        disk.open = self._open

    def _open(self, *args: Any, **options: Any) -> Any:
        events = self.events

        class File(io.FileIO):
            def close(self) -> None:
                if not self.closed:
                    self.seek(0)
                    events.append(("content", str(self.name), self.readall()))
                super().close()

        return File(*args) if "w" in args[1] else open(*args, **options)


def build_image(events: list[Event], root: Path, target: Path, rng: np.random.Generator) -> None:
    """The disk after a power loss: synced contents and names are there, each other name or content by chance."""
    names: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    synced: set[str] = set()
    pending: list[Event] = []
    for event in events:
        if event[0] == "content":
            contents[event[1]] = event[2]
            names[event[1]] = event[1]
        elif event[0] == "sync":
            synced.add(event[1])
            pending = _settle(pending, event[1], names)
        elif event[0] in ("rename", "unlink", "mkdir"):
            pending.append(event)
    for event in pending:
        if rng.random() < 0.5:
            _apply(event, names)
    shutil.rmtree(target, ignore_errors=True)
    for name, origin in names.items():
        if not name.startswith(str(root)):
            continue
        path = target / Path(name).relative_to(root)
        parent_made = all(str(p) in names for p in Path(name).parents if p != root and root in p.parents)
        if origin == "/" or not parent_made:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        data = contents[origin]
        path.write_bytes(data if origin in synced else data[: int(rng.integers(0, len(data) + 1))])


def _settle(pending: list[Event], folder: str, names: dict[str, str]) -> list[Event]:
    """Apply what a folder's sync makes durable; the rest stays pending."""
    left = []
    for event in pending:
        if str(Path(event[-1]).parent) == folder:
            _apply(event, names)
        else:
            left.append(event)
    return left


def _apply(event: Event, names: dict[str, str]) -> None:
    if event[0] == "mkdir":
        names[event[1]] = "/"
    elif event[0] == "unlink":
        names.pop(event[1], None)
    elif event[1] in names:
        names[event[2]] = names.pop(event[1])


def run_power_losses(size: int) -> Result:
    """Rows acknowledged before the loss are there; the same command completes."""
    result, rng = Result("T3 power loss, unsynced writes dropped"), np.random.default_rng(8)
    with World() as world:
        cache, log = world.fresh_cache(), world.folder / "log"
        code, _, said = fork_extraction(world, cache, lambda: Recorder(log).install()).finish()
        if code:
            result.fail(f"the recorded run ended with {code}: {said[-600:]}", crashes=1)
            return result
        events = pickle.loads(log.read_bytes())
        prefixes = np.linspace(1, len(events), size).astype(int).tolist()
        for i, stop in enumerate(prefixes):
            image = world.folder / "image"
            build_image(events[:stop], cache, image, rng)
            acknowledged = [(a, b) for _, a, b in (event for event in events[:stop] if event[0] == "ack")]
            result.count("checks")
            check(world, image, acknowledged, result, f"power lost after {stop} of {len(events)} steps")
            if i % 10 == 0:
                resume(world, image, result, f"power lost after {stop} steps")
    result.control = control_replay(size)
    return result


class _Plain(io.BytesIO):
    """A file for h5py that remembers what it wrote and when it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[int, bytes] | None] = []

    def write(self, data: Any) -> int:
        self.log.append((self.tell(), bytes(data)))
        return super().write(data)

    def flush(self) -> None:
        self.log.append(None)


def control_replay(size: int) -> str:
    """Plain h5py: rows appended, a count beside them, flushed each time, under the same losses."""
    plain, rng, bad = _Plain(), np.random.default_rng(9), 0
    with h5py.File(plain, "w") as file:
        rows = file.create_dataset("x", (0, 64), "f4", maxshape=(None, 64), chunks=(16, 64))
        for n in range(1, 60):
            rows.resize(n * 16, 0)
            rows[-16:] = n
            file.attrs["rows"] = n * 16
            file.flush()
    for stop in np.linspace(1, len(plain.log), size).astype(int).tolist():
        last = max((i for i in range(stop) if plain.log[i] is None), default=-1)
        kept = [event for i, event in enumerate(plain.log[:stop]) if event and (i < last or rng.random() < 0.5)]
        image = io.BytesIO()
        for place, data in kept:
            image.seek(place)
            image.write(data)
        try:
            with h5py.File(image) as file:
                n = int(file.attrs["rows"])
                bad += not np.array_equal(file["x"][:n, 0].reshape(-1, 16)[:, 0], np.arange(1, n // 16 + 1))
        except (OSError, KeyError, ValueError, RuntimeError, FixgridError):
            bad += 1
    return f"{bad}/{size} losses: file unreadable or rows wrong"
