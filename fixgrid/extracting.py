"""Extract and plan: from a data set and a trunk to cached features, or to what that would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .asking import takes
from .cache.datasets import list_sources, name_here
from .cache.errors import UsageError
from .cache.health import explain_miss
from .cache.rows import Manifest
from .cache.store import FeatureStore
from .cache.text import format_records
from .embed.extraction import Extraction
from .embed.manifest import read_manifest
from .embed.outcome import Outcome
from .embed.prospect import Item, Prospect, calibrate, describe_trunk, expect_local, list_recalibration, list_totals
from .embed.request import read_resolutions
from .embed.sizing import choose_precision
from .embed.trunks.identity import KnownTrunk, TrunkFacts, describe_nodes, take_nodes
from .embed.trunks.look import attribute_look, describe_look
from .embed.trunks.nodes import read_nodes
from .identifying import expect_name, find_weights, identify_all, is_named, name_trunk, split_request
from .preprocessing import find_origins, say_assumed, summarise_origins
from .recording import records
from .requests import PlanRequest, Request, open_cache

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


class Miss(NamedTuple):
    """A key that is not complete, and its nearest neighbour in the cache.

    Attributes
    ----------
    key, split, kind : str
    res : int
        px.
    lacking, rows : int
        Rows without features, of all.
    nearest : str
        Key of the complete entry that differs least; empty if there is none.
    differences : list of str
        Every field in which it does, as found -> wanted.
    """

    key: str
    split: str
    kind: str
    res: int
    lacking: int
    rows: int
    nearest: str
    differences: list[str]


@dataclass(frozen=True, eq=False)
class Plan:
    """What an extraction would do, take and write.

    Attributes
    ----------
    items : list of Item
        Line by line; of several trunks those of each, then those of all together, of no trunk.
    extractions : list of Extraction
        One a trunk.
    """

    items: list[Item]
    extractions: list[Extraction]

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        fields = [name for name in Item._fields if name != "trunk"]
        fields = ["trunk", *fields] if len(self.extractions) > 1 else fields
        records = [{name: getattr(item, name) for name in fields} for item in self.items]
        return format_records(records, style, wrapped=["note"])

    def explain_misses(self) -> list[Miss]:
        """Every key that is to be computed, and how it differs from its nearest neighbour in the cache."""
        found = []
        entries = [(place, entry) for one in self.extractions for place, entry in one.entries.items()]
        for (split, view, _), entry in entries:
            if lacking := int(entry.find_missing().sum()):
                nearest, lines = explain_miss(self.extractions[0].store, entry.spec)
                near = nearest.spec.key if nearest else ""
                found.append(
                    Miss(entry.spec.key, split, view.kind, view.res, lacking, entry.spec.rows, near, lines)
                )
        return found


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
    data = _read_data(request)
    trunks = [take_nodes(trunk, nodes, request.folder / "trunks") for trunk in identify_all(requests)]
    return list(zip(_build(requests, data, [trunk.facts for trunk in trunks]), trunks, strict=True))


@takes(PlanRequest)
def plan(request: PlanRequest) -> Plan:
    """Say what `extract` with the same arguments would do, take and write, without running the trunk.

    Arguments are those of `PlanRequest`.

    Raises
    ------
    FixgridError
        As `extract`; also if the data set would have to be downloaded.
    """
    machine, requests = request.machine, split_request(request)
    data = _read_data(request, download=False)
    loaded = [request.calibrate or not is_named(one) for one in requests]
    known = iter(identify_all([one for one, needed in zip(requests, loaded, strict=True) if needed]))
    trunks = [
        _find_trunk(one, next(known) if needed else None, data.store)
        for one, needed in zip(requests, loaded, strict=True)
    ]
    extractions = _build(requests, data, [facts for facts, _ in trunks])
    prospects, items = [], []
    for one, extraction, (facts, trunk) in zip(requests, extractions, trunks, strict=True):
        if request.calibrate and trunk:
            calibrate(extraction, trunk, request.watcher, machine)
        prospects.append(Prospect(extraction, facts, machine, trunk.load if trunk else None))
        named = facts.name if len(requests) > 1 else ""
        items += [item._replace(trunk=named) for item in _list_items(one, prospects[-1])]
    if len(requests) > 1:
        items += list_totals(prospects, machine)
    return Plan(items, extractions)


def _find_trunk(
    request: PlanRequest, trunk: KnownTrunk | None, store: FeatureStore
) -> tuple[TrunkFacts, KnownTrunk | None]:
    """What is known of a trunk that was identified, or of one that was not."""
    nodes, memos = read_nodes(request.features), request.folder / "trunks"
    if trunk:
        trunk = take_nodes(trunk, nodes, memos)
        return trunk.facts, trunk
    facts = describe_trunk(name_trunk(request), find_weights(request), store)
    facts = describe_nodes(facts, nodes, memos)
    return replace(facts, preprocess=facts.preprocess.override(request.look)), None


def _list_items(request: PlanRequest, prospect: Prospect) -> list[Item]:
    from .embed.recalibrate import expect_norm

    items, facts = prospect.list_items(), prospect.facts
    look = facts.preprocess
    items.append(Item("preprocessing", look.crop_mode, "crop", attribute_look(look, find_origins(request, facts))))
    if request.recalibrate:
        expect_norm(prospect.extraction, facts)
        items += list_recalibration(prospect.extraction)
    return items


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


class _Data(NamedTuple):
    """The data set of a request, read, and why it is that one."""

    store: FeatureStore
    manifest: Manifest
    name: str
    why: str


def _read_data(request: Request, *, download: bool = True) -> _Data:
    store = open_cache(request.folder, request.watcher)
    name, why = _choose_data(request, store)
    _ = read_resolutions(request.res), request.look  # refused before anything is downloaded or hashed
    expect_name(request.name)
    if not download:
        expect_local(name, request.folder)
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
    return _Data(store, manifest, name, why)


def _choose_data(request: Request, store: FeatureStore) -> tuple[str, str]:
    """What is asked for, the cache's only data set, the sample: the first there is, and why."""
    if request.data is not None:
        return str(request.data), ""
    known = list(map(name_here, list_sources(store).values()))
    return (known[0], "the cache holds it") if len(known) == 1 else (SAMPLE, "built in")


def _build(requests: Sequence[Request], asked: _Data, trunks: Sequence[TrunkFacts]) -> list[Extraction]:
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
    """A value that trunks have in common, or that of each."""
    if len(set(values)) == 1:
        return values[0]
    return "; ".join(f"{facts.name}: {value}" for facts, value in zip(trunks, values, strict=True))


def _build_one(request: Request, asked: _Data, facts: TrunkFacts) -> Extraction:
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
