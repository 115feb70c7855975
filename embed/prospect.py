"""What an extraction would do and take, found out without running it."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fixgrid.cache.disk import is_refused
from fixgrid.cache.errors import DiskError, UsageError, say_command
from fixgrid.cache.hints import say_cache
from fixgrid.cache.store import FeatureStore

from . import forecast
from .extraction import Extraction
from .forecast import Work
from .machine import extract_here
from .outline import describe_classes
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
    """One line of a plan: what, how much of which unit, how that is known, and of which trunk if of several."""

    what: str
    value: float | str
    unit: str
    note: str
    trunk: str = ""


def expect_local(text: str, cache_dir: Path) -> None:
    """Nothing, if planning for a data set downloads nothing.

    Raises
    ------
    UsageError
        If no source takes `text`, whatever is there; or if it would have to be downloaded first.
    DataError
        If nothing is there.
    """
    source = find_source(text)
    if not source.is_local(text, cache_dir):
        raise UsageError(
            f"found no {text} in {cache_dir}; expected its files, which plan does not download: run "
            f"{say_command(shlex.join(['extract', '--data', text, *say_cache(cache_dir)]))} first."
        )


def describe_trunk(name: str, weights: Path | None, store: FeatureStore) -> TrunkFacts:
    """What is remembered of a trunk, or else what can be said without its weights; see `sketch_trunk`."""
    return recall_trunk(name, weights, store.root / "trunks") or sketch_trunk(name, weights, store)


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


@dataclass(frozen=True, eq=False)
class Prospect:
    """What an extraction by one trunk would do and take.

    Attributes
    ----------
    extraction : Extraction
    facts : TrunkFacts
        With an empty ``weights_sha256`` if the weights were not read: then no key can be known to be cached.
    machine : Machine
        Resolved.
    load : callable, optional
        Loads the trunk; needed for a user's own module, which is counted by running it.
    """

    extraction: Extraction
    facts: TrunkFacts
    machine: Machine
    load: Callable[[], Trunk] | None = None

    @cached_property
    def work(self) -> Work:
        """What is still needed; nothing is written, and damaged files count as they are named."""
        return forecast.count_work(self.extraction.list_goals())

    @cached_property
    def macs(self) -> dict[int, int]:
        """Multiply-adds of one crop, by resolution (px)."""
        return count_macs(self.facts, set(self.work.all_crops), self.load)

    def list_items(self) -> list[Item]:
        """A plan, line by line.

        Raises
        ------
        UsageError
            If its workers are no number, or the trunk does not take one of the resolutions.
        """
        work, macs = self.work, self.macs
        todo, whole = (forecast.count_gmacs(crops, macs) for crops in (work.crops, work.all_crops))
        n = len(self.extraction.manifest.classes)
        names = describe_classes(self.extraction.manifest).removeprefix(f"{n}: ")
        return [
            Item("classes", n, "classes", names),
            *_list_work(work, "at most, each once"),
            Item("multiply-adds", round(todo, 1), "GMAC", f"at most, of {whole:.1f}"),
            _describe_features(work),
            _describe_weights(self.facts),
            self.describe_time(work),
            *_describe_training(work, macs, whole),
        ]

    def describe_time(self, work: Work) -> Item:
        """How long such work takes, from what was measured here."""
        if not any(work.crops.values()):
            return Item("time left", 0.0, "s", "everything is cached; the trunk will not run")
        speed = forecast.choose_speed(
            recall_speeds(self.extraction.store.root / "speed"),
            device=self.machine.device,
            backend=self.machine.backend,
            weights_sha256=self.facts.weights_sha256,
            precision=self.extraction.trunk.precision,
            res=sorted(self.macs),
        )
        if speed is None:
            return Item("time left", "unknown", "", "no extraction by this trunk was timed here: plan --calibrate")
        known = {**self.macs, **count_macs(self.facts, set(speed.crops) - self.macs.keys(), self.load)}
        sizing = self.machine.size(self.facts.weights_bytes)
        rates = forecast.measure_rates(speed, known)
        seconds = forecast.forecast_seconds(work, rates, self.macs, sizing.workers, sizing.decoders)
        return Item("time left", round(seconds, 1), "s", _describe_speed(speed, rates, sizing.workers))


def list_totals(prospects: Sequence[Prospect], machine: Machine) -> list[Item]:
    """The plan of all trunks together, which decode an image once as far as they fit into memory together."""
    sizes = [one.facts.weights_bytes if any(one.work.crops.values()) else 0 for one in prospects]
    groups = machine.group(sizes)
    decode, times = 0, []
    for group in groups:
        goals = [goal for i in group for goal in prospects[i].extraction.list_goals(i)]
        images = forecast.count_work(goals).decode
        decode += images
        # Images are decoded for the first that runs; the others are given them.
        for i in sorted(group, key=lambda i: not sizes[i]):
            times.append(prospects[i].describe_time(replace(prospects[i].work, decode=images)).value)
            images = 0
    goals = [goal for i, one in enumerate(prospects) for goal in one.extraction.list_goals(i)]
    work = replace(forecast.count_work(goals), decode=decode)
    todo = sum(forecast.count_gmacs(one.work.crops, one.macs) for one in prospects)
    measured = [time for time in times if not isinstance(time, str)]
    known = len(measured) == len(times)
    return [
        *_list_work(work, "at most, each once for all trunks" if len(groups) == 1 else f"in {len(groups)} passes"),
        Item("multiply-adds", round(todo, 1), "GMAC", "at most"),
        _describe_features(work),
        Item("time left", round(sum(measured), 1) if known else "unknown", "s" if known else "", "of all trunks"),
    ]


def _list_work(work: Work, how: str) -> list[Item]:
    images = ", ".join(f"{split} {n}" for split, n in work.images.items())
    res = ", ".join(map(str, sorted(work.all_crops)))
    return [
        Item("images", sum(work.images.values()), "images", images),
        Item("trunk passes", work.keys - work.cached, "passes", f"{work.keys} at {res} px, {work.cached} cached"),
        Item("to decode", work.decode, "images", how),
        Item("to run", sum(work.crops.values()), "crops", f"at most, of {sum(work.all_crops.values())}"),
    ]


def _describe_training(work: Work, macs: Mapping[int, int], whole: float) -> list[Item]:
    """What the grid's cells would take without a cache; nothing where there is nothing to train on."""
    if "train" not in work.images:
        return []
    trained = forecast.count_training_gmacs(work.images, macs)
    cells = f"each of {len(macs) ** 2} cells trained alone for {forecast.EPOCHS} epochs"
    return [Item("grid by training", round(trained / whole, 1), "x", f"multiply-adds if {cells}, trunk frozen")]


def _describe_features(work: Work) -> Item:
    note = f"{work.peak_bytes / 1e6:.1f} MB while it runs"
    return Item("features", round(work.sealed_bytes / 1e6, 1), "MB", note)


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


def _describe_speed(speed: Speed, rates: forecast.Rates, workers: int) -> str:
    res = ", ".join(map(str, sorted(speed.crops)))
    measured = f"on {speed.decoded} images at {res} px ({speed.device}, {speed.backend})"
    decode, view, gmac = (f"{1e3 * seconds:.1f} ms" for seconds in rates[:3])
    each = f"{decode} an image, {view} a crop, {gmac} a GMAC"
    return f"{each}, measured {measured}; {workers} workers"


def calibrate(extraction: Extraction, trunk: KnownTrunk, watcher: Watcher, machine: Machine) -> None:
    """Time a few images through the very same extraction, into a store that is thrown away; of train if there are.

    Every worker gets a split of its own, since a split this small is one job.

    Raises
    ------
    FixgridError
        As `extract_here`.
    """
    n = machine.size(trunk.facts.weights_bytes).workers
    each = max(CALIBRATION[machine.device.partition(":")[0]], math.ceil(MIN_IMAGES / n))
    split, rows = next(iter(extraction.manifest.splits.items()))
    places = np.linspace(0, len(rows) - 1, min(n * each, len(rows))).round().astype(np.int64)
    splits = {f"batch{i}": rows.take(places[i::n]) for i in range(min(n, len(places)))}
    with tempfile.TemporaryDirectory(prefix="fixgrid-") as folder:
        small = Extraction(
            FeatureStore(Path(folder)),
            replace(extraction.manifest, splits=splits),
            extraction.trunk,
            dict.fromkeys(splits, extraction.views[split]),
            extraction.dtype,
            scale=extraction.scale,
        )
        extract_here([(small, trunk)], watcher, machine, max_bad=1.0)
        try:
            for speed in recall_speeds(Path(folder, "speed")):
                keep_speed(extraction.store.root / "speed", speed)
        except DiskError as error:
            if not is_refused(error):
                raise
            place = extraction.store.root / "speed"
            watcher.notice(f"note: {place} may not be written: the speed that was measured is not kept")
