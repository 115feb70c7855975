"""Extract and plan: from a data set and a trunk to cached features, or to what that would take."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .asking import takes
from .cache.datasets import list_sources, name_here, split_limit
from .cache.errors import DataError, UsageError
from .cache.key import DTYPES
from .cache.remarks import describe_remarks
from .cache.rows import Manifest
from .cache.store import FeatureStore
from .embed.extraction import Extraction
from .embed.limit import read_limit
from .embed.manifest import read_manifest
from .embed.outcome import Outcome
from .embed.outline import describe_classes, describe_images, outline
from .embed.prospect import expect_local
from .embed.request import read_resolutions
from .embed.sizing import choose_precision
from .embed.trunks.identity import KnownTrunk, TrunkFacts, take_nodes
from .embed.trunks.look import describe_look
from .embed.trunks.nodes import read_nodes
from .embed.watcher import Watcher
from .identifying import expect_name, identify_all, split_request
from .preprocessing import say_assumed, summarise_origins
from .recording import records, to_json
from .requests import Request, open_cache

SAMPLE = "sample"
_LOG = logging.getLogger("fixgrid")


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
    data = to_json(outline(done.extractions[0].manifest))
    return {**done.outcome.count(), **({"recalibrated": again} if again else {}), "data": data}


@takes(Request)
@records(_summarise)
def extract(request: Request) -> Extracted:
    """Run the trunk once per split and resolution and cache its features; several trunks share one pass.

    The same call resumes a stopped run and recomputes only what changed. Arguments are those of `Request`.

    Raises
    ------
    FixgridError
        One line: what was found, what was expected, what to do next. If a split, or a class of the training images,
        has no usable image, all other features are sealed by then.
    """
    from .embed.machine import extract_here
    from .embed.recalibrate import expect_norm, recalibrate_here

    max_bad, machine = 0.0 if request.strict else read_share(request.max_bad), request.machine
    asked = ask_extractions(request)
    for extraction, trunk in asked if request.recalibrate else ():
        expect_norm(extraction, trunk.facts)
    outcome = extract_here(asked, request.watcher, machine, max_bad=max_bad)
    for stage, seconds in outcome.stages.items():
        _LOG.debug("%s took %.2f s of all workers together", stage, seconds)
    say_remarks([extraction for extraction, _ in asked], request.watcher)
    expect_usable([extraction for extraction, _ in asked], outcome, request.watcher)
    again: dict[int, list[Outcome]] = {}
    for extraction, trunk in asked if request.recalibrate else ():
        done = recalibrate_here(extraction, trunk, request.watcher, machine, max_bad=max_bad)
        for res, more in done.items():
            again.setdefault(res, []).append(more)
    recalibrated = {res: Outcome.join(outcomes) for res, outcomes in again.items()}
    return Extracted(outcome, recalibrated, [extraction for extraction, _ in asked])


def say_remarks(extractions: Sequence[Extraction], watcher: Watcher) -> None:
    """What decoding noticed of the images of one data set: blank ones, values that use little of their range."""
    found = max((extraction.list_remarked() for extraction in extractions), key=len)
    images = sum(len(extractions[0].manifest.splits[split]) for split in extractions[0].views)
    for line in describe_remarks(found, images, extractions[0].scale):
        watcher.notice(f"note: {line}")


def expect_usable(
    extractions: Sequence[Extraction], outcome: Outcome, watcher: Watcher, *, whole: bool = True
) -> None:
    """Say which classes have lost all images, and refuse to go on where no head can do without them.

    Parameters
    ----------
    extractions : sequence of Extraction
        Sealed.
    outcome : Outcome
        Of all of them.
    watcher : Watcher
    whole : bool
        Whether they are of the whole data set: the bad images of a share may well be all of a class.

    Raises
    ------
    DataError
        If a split, or a class of the training images of the `whole`, has no usable image.
    """
    losses = [found for extraction in extractions for found in extraction.find_losses()] if outcome.bad else []
    for loss, cure in losses:
        if loss.whole or (whole and loss.is_fatal):
            for line in outcome.list_skipped():
                watcher.notice(line)
            raise DataError(f"found {loss}; {cure}. The features of the others are kept.")
    for line in dict.fromkeys(str(loss) for loss, _ in losses):
        watcher.notice(f"note: {line}")


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
    manifest, notes = read_manifest(
        name,
        cache_dir=request.folder,
        seed=request.seed,
        follow_links=request.follow_links,
        reading=reading,
        rehash=request.rehash,
        progress=request.watcher.show_hashed,
        download_progress=request.watcher.show_download,
    )
    for note in notes:
        request.watcher.notice(f"note: {note}")
    return Data(store, manifest, name, why)


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
        labels=(describe_classes(asked.manifest), ""),
        images=(describe_images(asked.manifest), ""),
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
    for (split, view, node), entry in extraction.entries.items():
        _LOG.debug("key %s: %s of %s, %s at %d px", entry.folder.name[:12], node, split, view.kind, view.res)
    return replace(extraction, called=expect_name(request.name), look=request.look, scale=request.bounds)
