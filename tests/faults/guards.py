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


def patch(module: str, name: str, value: Any) -> Callable[[], None]:
    """Replace an attribute, of a class in a module if the module's name goes on after a colon."""

    def apply() -> None:
        import importlib

        place, _, inner = module.partition(":")
        target = importlib.import_module(place)
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

        user = importlib.import_module(module)
        copy = types.SimpleNamespace(**{**vars(getattr(user, name)), **members})
        setattr(user, name, copy)

    return apply


def forget_rows_digest() -> None:
    """Rows are told apart by nothing."""
    from cache.rows import Rows

    Rows.digest = "0" * 64


def keep_damaged_files() -> None:
    """An entry that is sealed is left as it is, whatever became of the files beside its features."""
    from cache.store import Entry

    create = Entry.create
    Entry.create = lambda self, rows: None if self.is_sealed else create(self, rows)  # type: ignore[method-assign]


def rename_early() -> None:
    """The file under its final name before it is whole."""
    from cache import disk

    disk.TEMP_PREFIX = ""
    disk.uuid = type("uuid", (), {"uuid4": staticmethod(lambda: type("u", (), {"hex": "x"}))})
    disk.os.replace = nothing


GUARDS: dict[str, tuple[Callable[[], None], str]] = {
    "fsync": (swap_members("cache.disk", "os", fsync=nothing), "tests/test_disk.py"),
    "rename": (rename_early, "tests/test_disk.py"),
    "fsync of folders": (patch("cache.disk", "sync_folder", nothing), "tests/test_disk.py"),
    "temporary file removed": (patch("pathlib:Path", "unlink", nothing), "tests/test_disk.py"),
    "disk space": (patch("cache.disk", "expect_space", nothing), "tests/test_disk.py"),
    "digest in a shard's name": (swap_members("cache.shard", "hashlib", sha256=Agreeing), "tests/test_shard.py"),
    "row checksum": (patch("cache.shard", "check_rows", nothing), "tests/test_shard.py"),
    "digest of the sealed file": (patch("cache.store:Entry", "check_digest", nothing), "tests/test_store.py"),
    "digest of the rows": (forget_rows_digest, "tests/test_rows.py"),
    "labels joined to their rows alone": (
        patch("cache.store:Entry", "_expect_rows", nothing),
        "tests/test_store.py",
    ),
    "seal of its key": (patch("cache.sealed", "check_sealed", nothing), "tests/test_health.py"),
    "closed schema": (patch("cache.schema", "_check_dataset", nothing), "tests/test_schema.py"),
    "damage set aside": (patch("cache.store:Entry", "set_aside_damage", lambda self: []), "tests/test_engine.py"),
    "content of the file read": (swap_members("embed.task", "hashlib", sha256=Agreeing), "tests/test_task.py"),
    "image size": (patch("embed.decode", "_expect_size", nothing), "tests/test_decode.py"),
    "formats": (patch("embed.decode", "FORMATS", None), "tests/test_decode.py"),
    "regular files": (swap_members("embed.decode", "stat", S_ISREG=lambda mode: True), "tests/test_decode.py"),
    "quarantine": (patch("embed.workers", "MAX_DEATHS", -1), "tests/test_workers.py"),
    "finite features": (patch("embed.task", "MAX_FLOAT16", float("inf")), "tests/test_task.py"),
    "budget of bad images": (patch("embed.engine:Extraction", "_judge", nothing), "tests/test_engine.py"),
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
    "links that lead out": (patch("embed.sources", "is_inside", lambda path, root: True), "tests/test_sources.py"),
    "no room for a worker": (patch("embed.workers", "_name_scarcity", nullcontext), "tests/test_workers.py"),
    "twins across splits": (patch("heads.twins", "_pair_splits", lambda *sides: []), "tests/test_twins.py"),
    "escaped names": (patch("cache.rowsfile", "show_path", os.fsdecode), "tests/test_rowsfile.py"),
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
