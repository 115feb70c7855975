"""Looking around: what a cache holds and whether to trust it, what this machine can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cache.address import is_bucket, say_place
from .cache.datasets import name_splits
from .cache.errors import CacheError, UsageError
from .cache.garbage import Garbage, collect_garbage, find_garbage
from .cache.health import choose_rows, compare_rows, describe_entry, explain_miss, shorten_entry, verify_store
from .cache.labels import Labels
from .cache.mirror import open_folder
from .cache.store import FeatureStore
from .cache.text import format_records, shorten_names
from .embed.doctor import Check, examine_cache, examine_installation, examine_speed, shorten_check
from .embed.watcher import Quiet, Watcher
from .identifying import DEFAULT_TRUNK


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found.

    Attributes
    ----------
    checks : tuple of Check
    unfit, damaged : bool
        Whether something of the installation, or of the cache, is broken.
    """

    checks: tuple[Check, ...]
    unfit: bool
    damaged: bool

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        records = [shorten_check(check) if style == "table" else check._asdict() for check in self.checks]
        return format_records(records, style, wrapped=["found"])


def doctor(cache: str | Path = "features", *, deep: bool = False, watcher: Watcher | None = None) -> Diagnosis:
    """Check libraries, machine and cache, time decoding and the trunk, and recommend options.

    Parameters
    ----------
    cache : str or Path
    deep : bool
        Read and hash every byte of features, too.
    watcher : Watcher, optional
    """
    watcher = watcher or Quiet()
    watcher.phase("looking at libraries and the machine")
    machine = examine_installation()
    watcher.phase("looking at the cache")
    held = examine_cache(open_folder(cache), deep=deep)
    unfit, damaged = (any(check.state == "broken" for check in checks) for checks in (machine, held))
    watcher.phase(f"timing decoding and {DEFAULT_TRUNK}")
    speed = [] if unfit else examine_speed(DEFAULT_TRUNK)
    return Diagnosis((*machine, *held, *speed), unfit, damaged)


def list_cache(cache: str | Path = "features") -> list[dict[str, Any]]:
    """Every key of a cache: what it is of, how it was seen, how much is there."""
    store = FeatureStore(open_folder(cache))
    named, labels = name_splits(store), Labels(store, store.sealed()).list_all()
    called = {version: label for label, version in labels.items()}
    return [describe_entry(entry, named, called) for entry in store.entries()]


def format_cache(records: list[dict[str, Any]], style: str = "table") -> str:
    """What `list_cache` gives as ``table``, ``md``, ``csv`` or ``json``; the table fits 80 columns."""
    records = [shorten_entry(record) if style == "table" else record for record in records]
    return format_records(
        records, style, wrapped=["view"], shortened=dict.fromkeys(("split", "trunk"), shorten_names)
    )


def verify_cache(
    cache: str | Path = "features", *, sample: int = 0, watcher: Watcher | None = None
) -> tuple[int, list[str]]:
    """How many keys a cache has, and a line for all that is damaged; every byte is hashed, every row checked.

    Parameters
    ----------
    cache : str or Path
    sample : int
        Rows per key to compute again and compare, if nothing is damaged.
    watcher : Watcher, optional

    Raises
    ------
    CacheError
        If rows computed again differ.
    """
    store = FeatureStore(open_folder(cache))
    watcher = watcher or Quiet()
    problems = verify_store(store, phase=watcher.phase)
    if sample and not problems:
        from .embed.recompute import Recomputer

        recompute = Recomputer(store)
        found = store.sealed()
        for number, sealed in enumerate(found):
            watcher.phase("computing rows again", number, len(found), "keys")
            compare_rows(sealed, choose_rows(sealed, sample), recompute)
    return len(store.entries()), problems


def explain_key(key: str, cache: str | Path = "features") -> tuple[str, list[str]]:
    """The key nearest to one that begins with ``key``, and every field in which the two differ.

    Raises
    ------
    UsageError
        If no key, or several, begin so.
    CacheError
        If it is the only one.
    """
    store = FeatureStore(open_folder(cache))
    mine = [entry for entry in store.entries() if entry.spec.key.startswith(key)]
    if len(mine) != 1:
        raise UsageError(f"found {len(mine)} keys that begin with {key!r}; expected one: see cache ls.")
    nearest, lines = explain_miss(store, mine[0].spec)
    if nearest is None:
        raise CacheError(f"{key} is the only key in {say_place(store.root)}: there is nothing to compare it with.")
    return nearest.spec.key, lines


def clean_cache(cache: str | Path = "features", *, remove: bool = False) -> list[Garbage]:
    """What nothing needs any more, in a cache and in what predict has kept; removed only if asked for.

    Raises
    ------
    UsageError
        If the cache is in a bucket.
    """
    if is_bucket(cache):
        raise UsageError(
            f"found the cache {cache}; expected a folder: which machines are extracting into a bucket cannot be "
            "seen, so nothing of it is called garbage. Once none does, remove it with your provider's tools."
        )
    folder = open_folder(cache)
    look = collect_garbage if remove else find_garbage
    return [item for root in (folder, folder / "predictions") for item in look(FeatureStore(root))]
