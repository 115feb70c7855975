"""T16: each guard taken out in turn must turn a test red. Also the plugin that takes one out of a pytest run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from .result import Result

ROOT = Path(__file__).resolve().parents[2]
GUARD = "FIXGRID_GUARD"


def nothing(*args: Any, **options: Any) -> None:
    """In place of a check."""


def give_up(*args: Any, **options: Any) -> None:
    """In place of what mends."""
    raise MemoryError


def patch(module: str, name: str, value: Any) -> Callable[[], None]:
    """Replace an attribute, of a class in a module if the module's name goes on after a colon."""

    def apply() -> None:
        import importlib

        place, _, inner = module.partition(":")
        ours = (Path(__file__).parents[2] / place.partition(".")[0]).is_dir()
        target = importlib.import_module(f"fixgrid.{place}" if ours else place)
        setattr(getattr(target, inner) if inner else target, name, value)

    return apply


class Agreeing(str):
    """A digest that is equal to any other, and so is each part of it."""

    __hash__ = str.__hash__

    def __new__(cls, *args: object) -> Agreeing:
        return super().__new__(cls, "0" * 64)

    def digest(self) -> Agreeing:
        return self

    def hexdigest(self) -> Agreeing:
        return self

    def __getitem__(self, key: Any) -> Agreeing:
        return self

    def __ne__(self, other: object) -> bool:
        return False


def swap_members(module: str, name: str, **members: Any) -> Callable[[], None]:
    """Give a module its own copy of a module that it uses, with some members replaced."""

    def apply() -> None:
        import importlib
        import types

        user = importlib.import_module(f"fixgrid.{module}")
        copy = types.SimpleNamespace(**{**vars(getattr(user, name)), **members})
        setattr(user, name, copy)

    return apply


def forget_rows_digest() -> None:
    """Rows are told apart by nothing."""
    from fixgrid.cache.rows import Rows

    Rows.digest = "0" * 64


def keep_damaged_files() -> None:
    """An entry that is sealed is left as it is, whatever became of the files beside its features."""
    from fixgrid.cache.entry import Entry

    create = Entry.create
    Entry.create = lambda self, rows: None if self.read_seal() else create(self, rows)  # type: ignore[method-assign]


def rename_early() -> None:
    """The file under its final name before it is whole."""
    from fixgrid.cache import disk

    disk.TEMP_PREFIX = ""
    disk.uuid = type("uuid", (), {"uuid4": staticmethod(lambda: type("u", (), {"hex": "x"}))})
    disk.os.replace = nothing


def sort_by_file_times() -> None:
    """Records in the order of their files' times, which a copy or a clock that is put back turns round."""
    from fixgrid.cache import rowsfile

    rowsfile._read_time = lambda path: path.stat().st_mtime_ns


def leave_locks() -> None:
    """A lock that is a mark in its file, and outlives whoever left it."""
    from fixgrid.cache import lock

    lock._try_lock = lambda handle: not os.fstat(handle).st_size and bool(os.write(handle, b"x"))


def lock_or_fail() -> None:
    """A disk without locks is an error."""
    from fixgrid.cache import lock

    lock._try_lock = lambda handle: lock.fcntl.flock(handle, lock.fcntl.LOCK_EX | lock.fcntl.LOCK_NB) is None


def forget_ctime() -> None:
    """A file is known by size and mtime, which anyone may put back."""
    from fixgrid.embed.sources import content

    content._stamp = lambda status: (status.st_size, status.st_mtime_ns, 0, 0)


def seal_alone() -> None:
    """Whoever comes second to a seal fails."""
    from fixgrid.cache import entry

    write_sealed = entry.write_sealed

    def write(file: Any, spec: Any, shards: Any) -> None:
        try:
            write_sealed(file, spec, shards)
        except entry.CacheError as error:
            raise RuntimeError("another process was first") from error

    entry.write_sealed = write


def clip_16_bits() -> None:
    """What Pillow does by itself: nearly everything comes out white."""
    import numpy as np

    from fixgrid.embed import decode

    decode.squeeze = lambda values, scale: np.clip(values, 0, 255).astype(np.uint8)


def _look(store: Any, deep: bool) -> list[str]:
    from fixgrid.cache.health import _look_for_damage

    return _look_for_damage(store, deep)


def unpickle() -> None:
    """Weights are read as anyone may have written them."""
    import functools

    import torch

    load = torch.load
    torch.load = functools.wraps(load)(lambda *args, **options: load(*args, **{**options, "weights_only": False}))


GUARDS: dict[str, tuple[Callable[[], None], str]] = {
    "fsync": (swap_members("cache.disk", "os", fsync=nothing), "tests/test_disk.py"),
    "rename": (rename_early, "tests/test_disk.py"),
    "fsync of folders": (patch("cache.disk", "sync_folder", nothing), "tests/test_disk.py"),
    "temporary file removed": (patch("pathlib:Path", "unlink", nothing), "tests/test_disk.py"),
    "disk space": (patch("cache.disk", "expect_space", nothing), "tests/test_disk.py"),
    "digest in a shard's name": (swap_members("cache.shard", "hashlib", sha256=Agreeing), "tests/test_shard.py"),
    "row checksum": (patch("cache.shard", "check_rows", nothing), "tests/test_shard.py"),
    "digest of the sealed file": (patch("cache.sealed:Sealed", "check_digest", nothing), "tests/test_entry.py"),
    "digest of the rows": (forget_rows_digest, "tests/test_rows.py"),
    "labels joined to their rows alone": (
        patch("cache.sealed:Sealed", "_expect_rows", nothing),
        "tests/test_sealed.py",
    ),
    "seal of its key": (patch("cache.sealedfile", "check_sealed", nothing), "tests/test_health.py"),
    "closed schema": (patch("cache.schema", "_check_dataset", nothing), "tests/test_schema.py"),
    "damage set aside": (patch("cache.entry:Entry", "set_aside_damage", lambda self: []), "tests/test_engine.py"),
    "content of the file read": (swap_members("embed.task", "hashlib", sha256=Agreeing), "tests/test_task.py"),
    "image size": (patch("embed.decode", "_expect_size", nothing), "tests/test_decode.py"),
    "formats": (patch("embed.decode", "FORMATS", None), "tests/test_decode.py"),
    "regular files": (
        swap_members("embed.sources.content", "stat", S_ISREG=lambda mode: True),
        "tests/test_content.py",
    ),
    "quarantine": (patch("embed.engines.local", "MAX_DEATHS", -1), "tests/test_workers.py"),
    "finite features": (patch("embed.task", "MAX_FLOAT16", float("inf")), "tests/test_task.py"),
    "budget of bad images": (
        patch("embed.extraction:Extraction", "judge", lambda *asked: []),
        "tests/test_engine.py",
    ),
    "signal handler": (swap_members("embed.signals", "signal", signal=nothing), "tests/test_engine.py"),
    "probe": (patch("cache.health", "TOLERANCE", {"float32": 9e9, "float16": 9e9}), "tests/test_health.py"),
    "garbage is not what is needed": (
        patch("cache.garbage", "is_abandoned", lambda path: True),
        "tests/test_garbage.py",
    ),
    "garbage while a record is damaged": (patch("cache.garbage", "len", lambda items: 0), "tests/test_garbage.py"),
    "files beside the sealed one": (keep_damaged_files, "tests/test_engine.py"),
    "links in a file": (swap_members("cache.schema", "h5py", HardLink=object), "tests/test_schema.py"),
    "known filters": (patch("cache.schema", "_KNOWN_FILTERS", set(range(1 << 16))), "tests/test_schema.py"),
    "rights of everyone": (patch("cache.health", "find_exposure", lambda store: []), "tests/test_health.py"),
    "files that just changed": (patch("embed.hashes", "RACY_NS", -(10**18)), "tests/test_hashes.py"),
    "forged memo": (patch("embed.hashes", "_NO_ZIP", ()), "tests/test_hashes.py"),
    "links that lead out": (
        patch("embed.sources.walk", "is_inside", lambda path, root: True),
        "tests/test_walk.py",
    ),
    "no room for a worker": (patch("embed.engines.local", "_name_scarcity", nullcontext), "tests/test_workers.py"),
    "twins across splits": (patch("heads.twins", "_pair_splits", lambda *sides: []), "tests/test_twins.py"),
    "a temporary name for each writer": (
        patch("cache.disk", "name_temp", lambda folder: folder / ".tmp-x"),
        "tests/test_disk.py::test_two_writers_of_one_file_leave_one_of_them_whole",
    ),
    "second to a seal": (
        seal_alone,
        "tests/test_entry.py::test_a_seal_that_another_process_was_first_with_is_fine",
    ),
    "locks die": (leave_locks, "tests/test_lock.py::test_a_lock_dies_with_its_holder"),
    "disks without locks": (
        lock_or_fail,
        "tests/test_lock.py::test_a_disk_without_locks_does_not_stop_the_work",
    ),
    "times that were put back": (forget_ctime, "tests/test_hashes.py"),
    "order of records": (
        sort_by_file_times,
        "tests/test_rowsfile.py::test_the_record_written_last_comes_first_whatever_the_clock_says",
    ),
    "second look at damage": (
        patch("cache.health", "verify_store", lambda store, deep=True: _look(store, deep)),
        "tests/test_health.py::test_what_is_removed_meanwhile_is_no_damage",
    ),
    "16 bits": (clip_16_bits, "tests/test_decode.py::test_16_bits_are_scaled_not_clipped"),
    "orientation": (patch("embed.decode", "_TURNS", {}), "tests/test_decode.py"),
    "sizes of batches": (
        patch("embed.backends.torch_backend:TorchBackend", "_shrink", give_up),
        "tests/test_backends.py::test_out_of_memory_halves_the_micro_batch_inside_the_same_batch_and_remembers",
    ),
    "time in which the run was stopped": (
        patch("embed.engines.local", "max", lambda begun, woken: begun),
        "tests/test_workers.py::test_a_run_that_was_stopped_and_goes_on_blames_no_image",
    ),
    "frozen trunk": (
        patch("embed.backends.prepare", "_expect_frozen", nothing),
        "tests/test_backends.py::test_a_trunk_left_in_train_mode_is_refused",
    ),
    "plain weights": (unpickle, "tests/test_trunks.py::test_a_malicious_pickle_is_refused_and_not_run"),
    "data that can be learnt from": (
        patch("embed.manifest", "check_images", nothing),
        "tests/test_manifest.py::test_data_that_cannot_be_learnt_from_is_refused",
    ),
    "blocks of rows": (
        patch("heads.select", "_BLOCK", 10**9),
        "tests/test_select.py::test_many_images_are_scored_block_by_block",
    ),
    "newer formats": (
        patch("cache.key", "FORMAT", 10**9),
        "tests/test_key.py::test_a_newer_format_is_refused_with_a_remedy",
    ),
    "escaped names": (patch("cache.text", "show_path", os.fsdecode), "tests/test_rowsfile.py"),
}


def pytest_configure() -> None:
    """Take the guard out before any test imports what it guards."""
    if os.environ.get(GUARD):
        GUARDS[os.environ[GUARD]][0]()


def run_missing_guards(size: int) -> Result:
    """Runs the tests of a guard without it."""
    result = Result("T16 guards taken out: a test turns red")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    for name, (_, tests) in list(GUARDS.items())[:size]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-p",
            "tests.faults.guards",
            "-p",
            "no:cacheprovider",
            tests,
        ]
        done = subprocess.run(
            command, cwd=ROOT, env={**env, GUARD: name}, capture_output=True, text=True, check=False
        )
        red = (done.returncode == 1 and "failed" in done.stdout) or "KeyboardInterrupt" in done.stdout
        result.count("checks")
        if not red:
            result.fail(f"without {name}: {done.stdout[-300:]}{done.stderr[-300:]}", wrong=1)
    return result
