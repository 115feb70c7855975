"""Extract and plan: from a data set and a trunk to cached features, or to what that would take."""

from __future__ import annotations

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
from .embed.prospect import Item, calibrate, describe_trunk, expect_local, list_items, list_recalibration
from .embed.request import read_resolutions
from .embed.sizing import choose_precision
from .embed.trunks.identity import TrunkFacts, describe_nodes, take_nodes
from .embed.trunks.look import attribute_look, describe_look
from .embed.trunks.nodes import read_nodes
from .identifying import expect_name, find_weights, identify, is_named, name_trunk
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
    recalibrated : dict of px to Outcome
        The same for val and test by the trunk recalibrated there; empty if that was not asked for.
    """

    outcome: Outcome
    recalibrated: dict[int, Outcome]


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
        Line by line.
    extraction : Extraction
    """

    items: list[Item]
    extraction: Extraction

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_records([item._asdict() for item in self.items], style, wrapped=["note"])

    def explain_misses(self) -> list[Miss]:
        """Every key that is to be computed, and how it differs from its nearest neighbour in the cache."""
        found = []
        for (split, view, _), entry in self.extraction.entries.items():
            if lacking := int(entry.find_missing().sum()):
                nearest, lines = explain_miss(self.extraction.store, entry.spec)
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
    """Run the trunk once per split and resolution and cache its features.

    The same call resumes a stopped run and recomputes only what changed. Arguments are those of `Request`.

    Raises
    ------
    FixgridError
        One line: what was found, what was expected, what to do next.
    """
    from .embed.machine import extract_here
    from .embed.recalibrate import expect_norm, recalibrate_here

    max_bad, machine = 0.0 if request.strict else read_share(request.max_bad), request.machine
    nodes = read_nodes(request.features)
    asked = _read_data(request)
    trunk = take_nodes(identify(request), nodes, request.folder / "trunks")
    extraction = _build(request, asked, trunk.facts)
    if request.recalibrate:
        expect_norm(extraction, trunk.facts)
    outcome = extract_here(extraction, trunk, request.watcher, machine, max_bad=max_bad)
    again = {}
    if request.recalibrate:
        again = recalibrate_here(extraction, trunk, request.watcher, machine, max_bad=max_bad)
    return Extracted(outcome, again)


@takes(PlanRequest)
def plan(request: PlanRequest) -> Plan:
    """Say what `extract` with the same arguments would do, take and write, without running the trunk.

    Arguments are those of `PlanRequest`.

    Raises
    ------
    FixgridError
        As `extract`; also if the data set would have to be downloaded.
    """
    from .embed.recalibrate import expect_norm

    machine, nodes, memos = request.machine, read_nodes(request.features), request.folder / "trunks"
    asked = _read_data(request, download=False)
    trunk = identify(request) if request.calibrate or not is_named(request) else None
    if trunk:
        trunk = take_nodes(trunk, nodes, memos)
        facts = trunk.facts
    else:
        facts = describe_trunk(name_trunk(request), find_weights(request), asked.store)
        facts = describe_nodes(facts, nodes, memos)
        facts = replace(facts, preprocess=facts.preprocess.override(request.look))
    extraction = _build(request, asked, facts)
    if request.calibrate and trunk:
        calibrate(extraction, trunk, request.watcher, machine)
    items = list_items(extraction, facts, machine, trunk.load if trunk else None)
    look = facts.preprocess
    items.append(Item("preprocessing", look.crop_mode, "crop", attribute_look(look, find_origins(request, facts))))
    if request.recalibrate:
        expect_norm(extraction, facts)
        items += list_recalibration(extraction)
    return Plan(items, extraction)


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


def _build(request: Request, asked: _Data, facts: TrunkFacts) -> Extraction:
    from .embed.machine import build_extraction

    res: tuple[Any, str] = (request.res, "") if request.res else (facts.preprocess.native_res, "the trunk's own")
    called: dict[str, tuple[Any, str]] = {"name": (request.name, "")} if request.name else {}
    request.watcher.settle(
        data=(asked.name, asked.why),
        trunk=(facts.name, ""),
        **called,
        res=res,
        preprocessing=(describe_look(facts.preprocess), summarise_origins(request, facts)),
        cache=(request.cache, ""),
    )
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
