"""Plan: what an extraction would do, take and write, and why the cache lacks what it lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from .asking import takes
from .cache.health import explain_miss
from .cache.rowsfile import write_manifest
from .cache.store import FeatureStore
from .cache.text import format_records
from .embed.extraction import Extraction
from .embed.prospect import Item, Prospect, calibrate, describe_trunk, list_recalibration, list_totals
from .embed.trunks.identity import KnownTrunk, TrunkFacts, describe_nodes, take_nodes
from .embed.trunks.look import attribute_look
from .embed.trunks.nodes import read_nodes
from .extracting import build_extractions
from .identifying import find_weights, identify_all, is_named, name_trunk, split_request
from .preprocessing import find_origins
from .requests import PlanRequest
from .slurm import write_script
from .sourcing import Data, read_data


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
    script : str
        What has Slurm do it in parts, if that was asked for; else empty.
    """

    items: list[Item]
    extractions: list[Extraction]
    script: str = ""

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
    data = read_data(request, download=False)
    loaded = [request.calibrate or not is_named(one) for one in requests]
    known = iter(identify_all([one for one, needed in zip(requests, loaded, strict=True) if needed]))
    trunks = [
        _find_trunk(one, next(known) if needed else None, data.store)
        for one, needed in zip(requests, loaded, strict=True)
    ]
    extractions = build_extractions(requests, data, [facts for facts, _ in trunks])
    prospects, items = [], []
    for one, extraction, (facts, trunk) in zip(requests, extractions, trunks, strict=True):
        if request.calibrate and trunk:
            calibrate(extraction, trunk, request.watcher, machine)
        prospects.append(Prospect(extraction, facts, machine, trunk.load if trunk else None))
        named = facts.name if len(requests) > 1 else ""
        items += [item._replace(trunk=named) for item in _list_items(one, prospects[-1])]
    if len(requests) > 1:
        items += list_totals(prospects, machine)
    return Plan(items, extractions, _write_script(request, data))


def _write_script(request: PlanRequest, data: Data) -> str:
    """The script for Slurm, if it is asked for, once the images are listed where its parts find them."""
    if request.slurm is None:
        return ""
    script = write_script(request, data.name, request.slurm)
    write_manifest(data.store.folder / "data", data.manifest)
    return script


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
