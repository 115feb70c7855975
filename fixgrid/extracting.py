"""Extract and plan: from a data set and a trunk to cached features, or to what that would take."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .asking import takes
from .cache.errors import DataError, UsageError
from .cache.remarks import describe_remarks
from .embed.extraction import Extraction
from .embed.outcome import Outcome
from .embed.outline import describe_classes, describe_images, outline
from .embed.portion import Portion, read_portion
from .embed.sizing import choose_precision
from .embed.trunks.identity import KnownTrunk, TrunkFacts, take_nodes
from .embed.trunks.look import describe_look
from .embed.trunks.nodes import read_nodes
from .embed.watcher import Watcher
from .identifying import expect_name, identify_all, split_request
from .preprocessing import say_assumed, summarise_origins
from .recording import records, to_json
from .requests import ExtractRequest, Request
from .sourcing import Data, read_data

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


@takes(ExtractRequest)
@records(_summarise)
def extract(request: ExtractRequest) -> Extracted:
    """Run the trunk once per split and resolution and cache its features; several trunks share one pass.

    The same call resumes a stopped run and recomputes only what changed. Arguments are those of `ExtractRequest`.

    Raises
    ------
    FixgridError
        One line: what was found, what was expected, what to do next. If a split, or a class of the training images,
        has no usable image, all other features are sealed by then.
    """
    from .embed.machine import extract_here
    from .embed.recalibrate import expect_norm, recalibrate_here

    max_bad, machine = 0.0 if request.strict else read_share(request.max_bad), request.machine
    portion = _read_portion(request)
    asked = ask_extractions(request, known=portion is not None)
    for extraction, trunk in asked if request.recalibrate else ():
        expect_norm(extraction, trunk.facts)
    outcome = extract_here(asked, request.watcher, machine, max_bad=max_bad, portion=portion)
    for stage, seconds in outcome.stages.items():
        _LOG.debug("%s took %.2f s of all workers together", stage, seconds)
    if portion:
        return Extracted(outcome, {}, [extraction for extraction, _ in asked])
    say_remarks([extraction for extraction, _ in asked], request.watcher)
    expect_usable([extraction for extraction, _ in asked], outcome, request.watcher)
    again: dict[int, list[Outcome]] = {}
    for extraction, trunk in asked if request.recalibrate else ():
        done = recalibrate_here(extraction, trunk, request.watcher, machine, max_bad=max_bad)
        for res, more in done.items():
            again.setdefault(res, []).append(more)
    recalibrated = {res: Outcome.join(outcomes) for res, outcomes in again.items()}
    return Extracted(outcome, recalibrated, [extraction for extraction, _ in asked])


def _read_portion(request: ExtractRequest) -> Portion | None:
    portion = read_portion(request.part)
    if portion and request.recalibrate:
        raise UsageError(
            f"found --recalibrate with --part {portion}; expected one of them: statistics are of all training "
            "images, so recalibrate once all parts are done, in the run that seals."
        )
    if portion and portion.why:
        request.watcher.notice(f"note: part {portion} of the images, from {portion.why}")
    return portion


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


def ask_extractions(request: Request, *, known: bool = False) -> list[tuple[Extraction, KnownTrunk]]:
    """An extraction for each trunk of a request, after saying what its options were resolved to.

    ``known`` is as `read_data` takes it.

    Raises
    ------
    FixgridError
        As `extract`.
    """
    nodes, requests = read_nodes(request.features), split_request(request)
    data = read_data(request, known=known)
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
