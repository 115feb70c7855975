"""Extract and plan: from a data set and a trunk to cached features, or to what that would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .asking import takes
from .cache.datasets import list_sources, name_here, split_limit
from .cache.errors import UsageError
from .cache.rows import Manifest
from .cache.store import FeatureStore
from .embed.extraction import Extraction
from .embed.limit import read_limit
from .embed.manifest import read_manifest
from .embed.outcome import Outcome
from .embed.prospect import expect_local
from .embed.request import read_resolutions
from .embed.sizing import choose_precision
from .embed.trunks.identity import KnownTrunk, TrunkFacts, take_nodes
from .embed.trunks.look import describe_look
from .embed.trunks.nodes import read_nodes
from .identifying import expect_name, identify_all, split_request
from .preprocessing import say_assumed, summarise_origins
from .recording import records
from .requests import Request, open_cache

SAMPLE = "sample"


@dataclass(frozen=True, eq=False)
class Extracted:
    """What an extraction did.

    Attributes
    ----------
    outcome : Outcome
        Of all trunks together.
    recalibrated : dict of px to Outcome
        The same for val and test by the trunks recalibrated there; empty if that was not asked for.
    extractions : list of Extraction
        One a trunk, as they were asked for; each has its ``entries`` by (split, view, kind of features).
    """

    outcome: Outcome
    recalibrated: dict[int, Outcome]
    extractions: list[Extraction]


def _summarise(done: Extracted) -> dict[str, Any]:
    again = {str(res): outcome.count() for res, outcome in done.recalibrated.items()}
    return {**done.outcome.count(), **({"recalibrated": again} if again else {})}


@takes(Request)
@records(_summarise)
def extract(request: Request) -> Extracted:
    """Run the trunk once per split and resolution and cache its features; several trunks share one pass.

    The same call resumes a stopped run and recomputes only what changed. Arguments are those of `Request`.

    Raises
    ------
    FixgridError
        One line: what was found, what was expected, what to do next.
    """
    from .embed.machine import extract_here
    from .embed.recalibrate import expect_norm, recalibrate_here

    max_bad, machine = 0.0 if request.strict else read_share(request.max_bad), request.machine
    asked = ask_extractions(request)
    for extraction, trunk in asked if request.recalibrate else ():
        expect_norm(extraction, trunk.facts)
    outcome = extract_here(asked, request.watcher, machine, max_bad=max_bad)
    again: dict[int, list[Outcome]] = {}
    for extraction, trunk in asked if request.recalibrate else ():
        done = recalibrate_here(extraction, trunk, request.watcher, machine, max_bad=max_bad)
        for res, more in done.items():
            again.setdefault(res, []).append(more)
    recalibrated = {res: Outcome.join(outcomes) for res, outcomes in again.items()}
    return Extracted(outcome, recalibrated, [extraction for extraction, _ in asked])


def ask_extractions(request: Request) -> list[tuple[Extraction, KnownTrunk]]:
    """An extraction for each trunk of a request, after saying what its options were resolved to.

    Raises
    ------
    FixgridError
        As `extract`.
    """
    nodes, requests = read_nodes(request.features), split_request(request)
    data = read_data(request)
    trunks = [take_nodes(trunk, nodes, request.folder / "trunks") for trunk in identify_all(requests)]
    return list(zip(build_extractions(requests, data, [trunk.facts for trunk in trunks]), trunks, strict=True))


def read_share(asked: float | str) -> float:
    """A share from ``1%``, ``0.01`` or a number.

    Raises
    ------
    UsageError
        If it is none from 0 to 1.
    """
    text = str(asked)
    try:
        share = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"found --max-bad {text!r}; expected a share such as 1% or 0.01.")
    return share


class Data(NamedTuple):
    """The data set of a request, read, and why it is that one."""

    store: FeatureStore
    manifest: Manifest
    name: str
    why: str


def read_data(request: Request, *, download: bool = True) -> Data:
    """The data set of a request, listed and hashed; refused if it would have to be downloaded and must not.

    Raises
    ------
    FixgridError
        As `extract`.
    """
    store = open_cache(request.folder, request.watcher)
    name, why = _choose_data(request, store)
    _ = read_resolutions(request.res), request.look  # refused before anything is downloaded or hashed
    expect_name(request.name)
    if not download:
        expect_local(split_limit(name)[0], request.folder)
    manifest, notes = read_manifest(
        name,
        cache_dir=request.folder,
        seed=request.seed,
        split=request.split,
        follow_links=request.follow_links,
        rehash=request.rehash,
        progress=request.watcher.show_hashed,
        download_progress=request.watcher.show_download,
    )
    for note in notes:
        request.watcher.notice(f"note: {note}")
    return Data(store, manifest, name, why)


def _choose_data(request: Request, store: FeatureStore) -> tuple[str, str]:
    """What is asked for, the cache's only data set, the sample: the first there is, and why; with its limit."""
    known = list(map(name_here, list_sources(store).values())) if request.data is None else []
    name, why = (known[0], "the cache holds it") if len(known) == 1 else (SAMPLE, "built in")
    if request.data is not None:
        name, why = str(request.data), ""
    if request.limit is None:
        return name, why
    whole, limit = split_limit(name)
    if limit and request.data is not None:
        raise UsageError(f"found --limit {request.limit} with {name}, which has a limit; expected one of them.")
    return f"{whole.rstrip('/') or whole}@{read_limit(request.limit)}", why


def build_extractions(requests: Sequence[Request], asked: Data, trunks: Sequence[TrunkFacts]) -> list[Extraction]:
    """An extraction for each trunk, after saying what options were resolved to."""
    request = requests[0]
    res: tuple[Any, str] = (request.res, "")
    if not request.res:
        res = _say_all(trunks, [facts.preprocess.native_res for facts in trunks]), "the trunk's own"
    called: dict[str, tuple[Any, str]] = {"name": (request.name, "")} if request.name else {}
    origins = [summarise_origins(one, facts) for one, facts in zip(requests, trunks, strict=True)]
    request.watcher.settle(
        data=(asked.name, asked.why),
        trunk=(", ".join(facts.name for facts in trunks), ""),
        **called,
        res=res,
        preprocessing=(
            _say_all(trunks, [describe_look(facts.preprocess) for facts in trunks]),
            "; ".join(dict.fromkeys(origins)),
        ),
        cache=(request.cache, ""),
    )
    return [_build_one(one, asked, facts) for one, facts in zip(requests, trunks, strict=True)]


def _say_all(trunks: Sequence[TrunkFacts], values: Sequence[Any]) -> Any:
    """A value that trunks have in common, or each with the trunks that have it."""
    named: dict[Any, list[str]] = {}
    for facts, value in zip(trunks, values, strict=True):
        named.setdefault(value, []).append(facts.name)
    if len(named) == 1:
        return values[0]
    return "; ".join(f"{', '.join(names)}: {value}" for value, names in named.items())


def _build_one(request: Request, asked: Data, facts: TrunkFacts) -> Extraction:
    from .embed.machine import build_extraction

    say_assumed(request, facts)
    extraction = build_extraction(
        asked.store,
        asked.manifest,
        facts,
        request.wanted,
        precision=choose_precision(request.precision, request.machine.device),
        dtype=request.dtype,
    )
    return replace(extraction, called=expect_name(request.name), look=request.look)
