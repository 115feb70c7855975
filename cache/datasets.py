"""Data sets that a cache has a record of, by the names that they were given."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from .rows import Manifest, split_variant
from .rowsfile import list_manifests
from .store import FeatureStore

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet")
"""Suffixes of files that list a data set."""
CONTAINERS = (".tar", ".zip", ".parquet")
"""Suffixes of files that hold images."""
_LIMITED = re.compile(r"(.+)@(\d+|\d+(?:\.\d+)?%)")
_SAYS_NOTHING = re.compile(
    r"(labels?|annotations?|meta(data)?|train(ing)?|val(id(ation)?)?|dev|test(ing)?|data(set)?|index|images?|files?"
    r"|list|all|manifest|splits?)\.",
    re.IGNORECASE,
)


def split_limit(text: str) -> tuple[str, str]:
    """A data set's name, and how much of it is meant: 500 of ``photos@500``, ``10%`` of ``photos@10%``, else empty.

    What lies here under such a name is called so.
    """
    found = _LIMITED.fullmatch(text)
    return (found[1], found[2]) if found and not os.path.exists(os.path.expanduser(text)) else (text, "")


def find_limit(manifest: Manifest) -> tuple[str, str]:
    """The same of a data set that was recorded, whose images need not be here."""
    found = _LIMITED.fullmatch(manifest.source)
    called_so = os.path.basename(os.path.normpath(manifest.source)) == os.path.basename(manifest.place)
    return (found[1], found[2]) if found and not called_so else (manifest.source, "")


def list_sources(store: FeatureStore) -> dict[str, Manifest]:
    """The newest record of every data set that was extracted into this cache, by the last name it was given.

    Of two folders that were given one name in two places, the one that the name means here comes first.
    """
    return _list_once(_list_records(store))


def find_source(store: FeatureStore, wanted: str) -> tuple[Manifest | None, dict[str, Manifest]]:
    """The newest record of a name, or of the folder or file that it means here; and `list_sources`."""
    records = _list_records(store)
    named = [manifest for _, manifest in records if manifest.source == wanted]
    here = [manifest for _, manifest in records if _is_at(manifest, wanted)]
    if not named:  # as it was called when the split was an option
        named = [manifest for _, manifest in records if split_variant(manifest.source)[0] == wanted]
    found = [*(one for one in named if not _is_elsewhere(one)), *here, *named]
    return next(iter(found), None), _list_once(records)


def _list_records(store: FeatureStore) -> list[tuple[str, Manifest]]:
    """The newest record of every name, or of its place under another; names that mean another place here last."""
    newest = list_manifests(store.folder / "data")
    at: dict[tuple[str, str], tuple[str, Manifest]] = {}
    for digest, manifest in newest:
        at.setdefault((find_place(manifest), find_limit(manifest)[1]), (digest, manifest))
    records: dict[str, tuple[str, Manifest]] = {}
    for digest, manifest in sorted(newest, key=lambda one: _is_elsewhere(one[1])):
        place, limit = find_place(manifest), find_limit(manifest)[1]
        last = at[place, limit] if place else (digest, manifest)
        records.setdefault(manifest.source, (last[0], replace(last[1], source=manifest.source)))
    return list(records.values())


def _list_once(records: list[tuple[str, Manifest]]) -> dict[str, Manifest]:
    once: dict[str, Manifest] = {}
    for digest, manifest in records:
        once.setdefault(digest, manifest)
    return {manifest.source: manifest for manifest in once.values()}


def name_splits(store: FeatureStore) -> dict[str, tuple[str, str]]:
    """Data set and split by the digest of their rows, of every data set as it is or was; the newest name counts."""
    named: dict[str, tuple[str, str]] = {}
    for _, manifest in list_manifests(store.folder / "data"):
        for split, rows in manifest.splits.items():
            named.setdefault(rows.digest, (manifest.source, split))
    return named


def name_here(manifest: Manifest) -> str:
    """What to type here for a data set whose name was typed in another folder: its name, or else its place."""
    place, (name, limit) = find_place(manifest), find_limit(manifest)
    known = os.path.exists(_find_path(name)) and not _is_elsewhere(manifest)
    return manifest.source if known or not os.path.exists(_find_path(place)) else place + f"@{limit}" * bool(limit)


def _find_path(source: str) -> str:
    return os.path.expanduser(split_variant(source)[0])


def _is_elsewhere(manifest: Manifest) -> bool:
    """Whether its name, typed here, means another place than that of its images: of a folder, and of a table."""
    path = _find_path(find_limit(manifest)[0])
    return "--root" not in manifest.options and manifest.place not in (
        os.path.realpath(path),
        os.path.realpath(os.path.dirname(path)),
    )


def find_place(manifest: Manifest) -> str:
    """The folder or table that a data set was read from; empty of one that is neither, or goes by a word.

    What is asked for behind its name (see `split_variant`) is behind the place as well; a limit is not.
    """
    name = find_limit(manifest)[0]
    path, variant = os.path.normpath(_find_path(name)), split_variant(name)[1]
    if os.path.basename(path) == os.path.basename(manifest.place):
        return manifest.place + variant
    if is_table(path) or is_container(path):
        return path if "--root" in manifest.options else os.path.join(manifest.place, os.path.basename(path))
    return manifest.place + variant if os.path.realpath(path) == manifest.place else ""


def is_container(path: str) -> bool:
    """Whether a file is one of many images, by its name."""
    return path.lower().endswith(CONTAINERS)


def is_table(path: str) -> bool:
    """Whether a file lists a data set, by its name."""
    return path.lower().endswith(TABLES)


def _is_at(manifest: Manifest, source: str) -> bool:
    """Whether a data set is that of the folder or table which a text means here, however it is spelt."""
    (name, limit), (own, its_limit) = split_limit(source), find_limit(manifest)
    path, place = _find_path(name), _find_path(find_place(manifest))
    if not os.path.exists(path) or os.path.realpath(place) != os.path.realpath(path):
        return False
    if (limit, split_variant(name)[1]) != (its_limit, split_variant(own)[1]):
        return False
    return os.path.isdir(path) or os.path.dirname(place) == os.path.realpath(os.path.dirname(path))


def name_data(manifest: Manifest) -> str:
    """As `shorten_source`; of a table whose own name says nothing, such as ``train.csv``, its folder's."""
    place, limit = find_place(manifest), find_limit(manifest)[1]
    folder = os.path.basename(os.path.dirname(os.path.abspath(place)))
    if folder and is_table(place) and _SAYS_NOTHING.match(os.path.basename(place)):
        return folder + f"@{limit}" * bool(limit)
    return shorten_source(manifest.source)


def shorten_source(source: str) -> str:
    """The last part of a data set's name: ``dogs`` of ``../data/dogs/``."""
    name, limit = split_limit(source)
    return os.path.basename(os.path.abspath(name)) + f"@{limit}" * bool(limit)
