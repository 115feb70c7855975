"""What an extraction would do and take, found out without running it."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fixgrid.cache.errors import UsageError, say_command
from fixgrid.cache.hints import say_cache
from fixgrid.cache.rows import Rows
from fixgrid.cache.store import FeatureStore

from . import forecast
from .extraction import Extraction
from .forecast import Work
from .machine import extract_here
from .sizing import Machine
from .sources.catalogue import find_source
from .speed import MIN_IMAGES, Speed, keep_speed, recall_speeds
from .trunks.catalogue import find_licence
from .trunks.identity import KnownTrunk, TrunkFacts, find_weights, recall_trunk, sketch_trunk
from .trunks.source import is_own
from .watcher import Watcher

if TYPE_CHECKING:
    from .trunks.trunk import Trunk

CALIBRATION = {"cpu": 8, "cuda": 128}
"""Images that each worker calibrates on: two batches of an accelerator, one of eager torch."""


class Item(NamedTuple):
    """One line of a plan: what, how much of which unit, and how that is known."""

    what: str
    value: float | str
    unit: str
    note: str


def expect_local(text: str, cache_dir: Path) -> None:
    """Nothing, if planning for a data set downloads nothing.

    Raises
    ------
    UsageError
        If the data set would have to be downloaded first, or no source takes `text`.
    DataError
        If nothing is there.
    """
    if not find_source(text).is_local(text, cache_dir):
        raise UsageError(
            f"found no {text} in {cache_dir}; expected its files, which plan does not download: run "
            f"{say_command(shlex.join(['extract', '--data', text, *say_cache(cache_dir)]))} first."
        )


def describe_trunk(name: str, weights: Path | None, store: FeatureStore) -> TrunkFacts:
    """What is remembered of a trunk, or else what can be said without its weights; see `sketch_trunk`."""
    return recall_trunk(name, weights, store.root / "trunks") or sketch_trunk(name, weights, store)


def find_work(extraction: Extraction) -> Work:
    """What an extraction still needs; nothing is written, and damaged files count as they are named."""
    return forecast.count_work(extraction.list_goals())


def count_macs(facts: TrunkFacts, resolutions: set[int], load: Callable[[], Trunk] | None = None) -> dict[int, int]:
    """Multiply-adds of a trunk for one square crop, by resolution (px); `load` loads a user's own module.

    Raises
    ------
    UsageError
        If it does not take one of the resolutions, or is a user's own and there is no `load`.
    """
    from .trunks.trunk import count_costs, count_module

    if is_own(facts.architecture) and load is not None:
        own = load()
        return {res: count_module(facts.name, own.at(res), own.dim, res).macs for res in sorted(resolutions)}
    return {res: count_costs(facts.name, res).macs for res in sorted(resolutions)}


def list_items(
    extraction: Extraction, facts: TrunkFacts, machine: Machine, load: Callable[[], Trunk] | None = None
) -> list[Item]:
    """A plan, line by line.

    Parameters
    ----------
    extraction : Extraction
    facts : TrunkFacts
        With an empty ``weights_sha256`` if the weights were not read: then no key can be known to be cached.
    machine : Machine
        Resolved.
    load : callable, optional
        Loads the trunk; needed for a user's own module, which is counted by running it.

    Raises
    ------
    UsageError
        If its workers are no number.
    """
    work = find_work(extraction)
    count = partial(count_macs, facts, load=load)
    macs = count(set(work.all_crops))
    images = ", ".join(f"{split} {n}" for split, n in work.images.items())
    res = ", ".join(map(str, macs))
    todo, whole = (forecast.count_gmacs(crops, macs) for crops in (work.crops, work.all_crops))
    trained = forecast.count_training_gmacs(work.images, macs)
    cells = f"each of {len(macs) ** 2} cells trained alone for {forecast.EPOCHS} epochs"
    return [
        Item("images", sum(work.images.values()), "images", images),
        Item("trunk passes", work.keys - work.cached, "passes", f"{work.keys} at {res} px, {work.cached} cached"),
        Item("to decode", work.decode, "images", "at most, each once"),
        Item("to run", sum(work.crops.values()), "crops", f"at most, of {sum(work.all_crops.values())}"),
        Item("multiply-adds", round(todo, 1), "GMAC", f"at most, of {whole:.1f}"),
        Item(
            "features",
            round(work.sealed_bytes / 1e6, 1),
            "MB",
            f"{work.peak_bytes / 1e6:.1f} MB while it runs",
        ),
        _describe_weights(facts),
        _describe_time(extraction, facts, work, macs, count, machine),
        Item("grid by training", round(trained / whole, 1), "x", f"multiply-adds if {cells}, trunk frozen"),
    ]


def list_recalibration(extraction: Extraction) -> list[Item]:
    """What ``extract --recalibrate`` would run beyond `list_items`; no time is known of the first of its passes."""
    from .recalibrate import count_crops

    measured, again = count_crops(extraction)
    note = f"at most: {measured} of train for statistics, {again} of val and test again; not in the figures above"
    return [Item("recalibration", measured + again, "crops", note)]


def _describe_weights(facts: TrunkFacts) -> Item:
    if facts.weights or is_own(facts.architecture):
        return Item("weights", 0.0, "MB to download", facts.weights or "they are the module's own")
    licence = find_licence(facts.name) or "licence not on record"
    if find_weights(facts.name):
        read = "" if facts.weights_sha256 else "; not read yet, so no key can be told to be cached"
        return Item("weights", 0.0, "MB to download", f"they are here, {licence}{read}")
    size = round(facts.weights_bytes / 1e6, 1)
    return Item("weights", size, "MB to download", f"not here yet, 4 bytes per parameter; {licence}")


def _describe_time(
    extraction: Extraction,
    facts: TrunkFacts,
    work: Work,
    macs: Mapping[int, int],
    count: Callable[[set[int]], dict[int, int]],
    machine: Machine,
) -> Item:
    if not any(work.crops.values()):
        return Item("time left", 0.0, "s", "everything is cached; the trunk will not run")
    speed = forecast.choose_speed(
        recall_speeds(extraction.store.root / "speed"),
        device=machine.device,
        backend=machine.backend,
        weights_sha256=facts.weights_sha256,
        precision=extraction.trunk.precision,
        res=sorted(macs),
    )
    if speed is None:
        return Item("time left", "unknown", "", "no extraction by this trunk was timed here: plan --calibrate")
    known = {**macs, **count(set(speed.crops) - macs.keys())}
    sizing = machine.size(facts.weights_bytes)
    rates = forecast.measure_rates(speed, known)
    seconds = forecast.forecast_seconds(work, rates, macs, sizing.workers, sizing.decoders)
    return Item("time left", round(seconds, 1), "s", _describe_speed(speed, rates, sizing.workers))


def _describe_speed(speed: Speed, rates: forecast.Rates, workers: int) -> str:
    res = ", ".join(map(str, sorted(speed.crops)))
    measured = f"on {speed.decoded} images at {res} px ({speed.device}, {speed.backend})"
    decode, view, gmac = (f"{1e3 * seconds:.1f} ms" for seconds in rates[:3])
    each = f"{decode} an image, {view} a crop, {gmac} a GMAC"
    return f"{each}, measured {measured}; {workers} workers"


def calibrate(extraction: Extraction, trunk: KnownTrunk, watcher: Watcher, machine: Machine) -> None:
    """Time a few training images through the very same extraction, into a store that is thrown away.

    Every worker gets a split of its own, since a split this small is one job.

    Raises
    ------
    FixgridError
        As `extract_here`.
    """
    n = machine.size(trunk.facts.weights_bytes).workers
    each = max(CALIBRATION[machine.device], math.ceil(MIN_IMAGES / n))
    rows = extraction.manifest.splits["train"]
    places = np.linspace(0, len(rows) - 1, min(n * each, len(rows))).round().astype(np.int64)
    splits = {f"batch{i}": _take(rows, places[i::n]) for i in range(min(n, len(places)))}
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        small = Extraction(
            FeatureStore(Path(folder)),
            replace(extraction.manifest, splits=splits),
            extraction.trunk,
            dict.fromkeys(splits, extraction.views["train"]),
            extraction.dtype,
        )
        extract_here(small, trunk, watcher, machine, max_bad=1.0)
        for speed in recall_speeds(Path(folder, "speed")):
            keep_speed(extraction.store.root / "speed", speed)


def _take(rows: Rows, places: Any) -> Rows:
    return Rows(
        tuple(rows.paths[i] for i in places.tolist()), rows.sizes[places], rows.sha256[places], rows.labels[places]
    )
