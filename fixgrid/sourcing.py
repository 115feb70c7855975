"""The data set of a request: by its name, or by what the cache holds; listed, or as it was listed before."""

from __future__ import annotations

from typing import NamedTuple

from .cache.datasets import find_source, list_sources, name_here, split_limit
from .cache.errors import UsageError, say_command
from .cache.key import DTYPES
from .cache.rows import Manifest
from .cache.store import FeatureStore
from .embed.limit import read_limit
from .embed.manifest import read_manifest, say_options
from .embed.prospect import expect_local
from .embed.request import read_resolutions
from .embed.sizing import choose_precision
from .identifying import expect_name
from .requests import Request, open_cache

SAMPLE = "sample"


class Data(NamedTuple):
    """The data set of a request, read, and why it is that one."""

    store: FeatureStore
    manifest: Manifest
    name: str
    why: str


def read_data(request: Request, *, download: bool = True, known: bool = False) -> Data:
    """The data set of a request, listed and hashed; refused if it would have to be downloaded and must not.

    Parameters
    ----------
    request : Request
    download : bool
    known : bool
        Take it as it was listed into the cache last, if it was: content is compared when it is decoded.

    Raises
    ------
    FixgridError
        As `extract`.
    """
    store = open_cache(request.folder, request.watcher)
    name, why = _choose_data(request, store)
    name = _add_limit(request, name)
    reading = request.reading
    # Refused before anything is downloaded or hashed.
    _ = read_resolutions(request.res), request.look, request.bounds
    expect_name(request.name)
    choose_precision(request.precision, "cpu")
    if request.dtype not in DTYPES:
        raise UsageError(f"found --dtype {request.dtype!r}; expected {' or '.join(DTYPES)}.")
    if not download:
        expect_local(split_limit(name)[0], request.folder)
    if known and (recalled := _recall_manifest(request, store, name)):
        return Data(store, recalled, name, why)
    manifest, notes = read_manifest(
        name,
        cache_dir=request.folder,
        seed=request.seed,
        follow_links=request.follow_links,
        reading=reading,
        rehash=request.rehash,
        progress=request.watcher.show_hashed,
        download_progress=request.watcher.show_download,
        list_progress=request.watcher.show_listed,
    )
    for note in notes:
        request.watcher.notice(f"note: {note}")
    return Data(store, manifest, name, why)


def _recall_manifest(request: Request, store: FeatureStore, name: str) -> Manifest | None:
    """The data set as it was listed last; None, after saying so, if it was not, or otherwise."""
    known, _ = find_source(store, name)
    options = (*say_options(request.seed, request.follow_links), *request.reading.say())
    if known and tuple(known.options) == options and not request.rehash:
        return known
    request.watcher.notice(
        f"note: {name} was not listed into this cache before, so this part lists and hashes all of it; "
        f"{say_command('plan --slurm N')} does so once for all"
    )
    return None


def _choose_data(request: Request, store: FeatureStore) -> tuple[str, str]:
    """What is asked for, the cache's only data set, the sample: the first there is, and why."""
    if request.data is not None:
        return str(request.data), ""
    known = list(map(name_here, list_sources(store).values()))
    return (known[0], "the cache holds it") if len(known) == 1 else (SAMPLE, "built in")


def _add_limit(request: Request, name: str) -> str:
    """The data set's name, with the split and the limit that were asked for as options behind it."""
    whole, limit = split_limit(name)
    whole = _add_split(request, whole)
    if request.limit is not None:
        if limit and request.data is not None:
            raise UsageError(f"found --limit {request.limit} with {name}, which has a limit; expected one of them.")
        whole, limit = whole.rstrip("/") or whole, read_limit(request.limit)
    return whole + f"@{limit}" * bool(limit)


def _add_split(request: Request, name: str) -> str:
    """The data set's name, with the split that was asked for as an option behind it."""
    if request.split in (None, "official") or name.endswith(f":{request.split}"):
        return name
    request.watcher.notice(f"note: --split is part of the data's name now: --data {name}:{request.split}")
    return f"{name}:{request.split}"
