"""What an extraction will cost: arithmetic on counts and measured speeds, nothing is opened or run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .plan import Goal, count_bytes, count_crops
from .speed import Speed

EPOCHS = 20
"""Epochs that training one cell of the grid is taken to cost."""


@dataclass(frozen=True)
class Work:
    """What is still to be done, at most: rows that other keys hold are taken over from them.

    Attributes
    ----------
    images : mapping of split to int
        In the data set.
    keys, cached : int
        Trunk passes that the request needs in all, and those of them that are complete.
    decode : int
        Images to decode; each is decoded once for all views.
    crops, all_crops : mapping of px to int
        Crops to run through the trunk, and those of the whole request, by resolution.
    sealed_bytes, peak_bytes : int
        Size of the features to be written, and with the shards that they are made from.
    """

    images: Mapping[str, int]
    keys: int
    cached: int
    decode: int
    crops: Mapping[int, int]
    all_crops: Mapping[int, int]
    sealed_bytes: int
    peak_bytes: int


class Rates(NamedTuple):
    """Seconds of one worker process: per image read and decoded, per crop cut, per GMAC of the trunk.

    Attributes
    ----------
    decode_s, view_s, gmac_s : float
    start_s : float
        Wall time in which no worker did any of these: loading the trunk, probing it, starting, the last worker.
    """

    decode_s: float
    view_s: float
    gmac_s: float
    start_s: float


def count_work(goals: Sequence[Goal]) -> Work:
    """What the goals of one extraction still need."""
    images = {goal.split: len(goal.rows) for goal in goals}
    whole = [replace(goal, missing=np.ones_like(goal.missing)) for goal in goals]
    decode = 0
    for split in images:
        decode += int(np.any([goal.missing for goal in goals if goal.split == split], axis=0).sum())
    waiting = [goal for goal in goals if goal.missing.any()]
    sealed = sum(
        len(goal.rows) * goal.view.count * goal.entry.spec.dim * np.dtype(goal.entry.spec.dtype).itemsize
        for goal in waiting
    )
    crops, all_crops = count_crops(goals), count_crops(whole)
    return Work(images, len(goals), len(goals) - len(waiting), decode, crops, all_crops, sealed, count_bytes(goals))


def count_gmacs(crops: Mapping[int, int], macs: Mapping[int, int]) -> float:
    """Multiply-adds of the trunk over all crops, 10^9; `macs` are those of one crop, by resolution (px)."""
    return sum(n * macs[res] for res, n in crops.items()) / 1e9


def count_training_gmacs(images: Mapping[str, int], macs: Mapping[int, int]) -> float:
    """Multiply-adds of training every train x test cell on its own, 10^9.

    Each of the k^2 cells runs one crop of every training image through the frozen trunk in each of `EPOCHS`
    epochs, at the train resolution, and scores val and test once at the test resolution. Backward passes are
    nothing: only the head learns.
    """
    k, per_res = len(macs), sum(macs.values())
    scored = sum(n for split, n in images.items() if split != "train")
    return k * per_res * (EPOCHS * images.get("train", 0) + scored) / 1e9


def measure_rates(speed: Speed, macs: Mapping[int, int]) -> Rates:
    """Rates of one remembered extraction."""
    stages = speed.stages
    decode, view, trunk = stages["read"] + stages["decode"], stages["view"], stages["trunk"]
    crops = sum(speed.crops.values())
    busy = _spend(decode, view + trunk, speed.workers, speed.decoders)
    return Rates(
        decode / speed.decoded, view / crops, trunk / count_gmacs(speed.crops, macs), max(0.0, speed.wall_s - busy)
    )


def forecast_seconds(work: Work, rates: Rates, macs: Mapping[int, int], workers: int, decoders: int) -> float:
    """Wall time of what is left, s, if the workers are as fast as they were; 0 if nothing is."""
    crops = sum(work.crops.values())
    if not crops:
        return 0.0
    rest = crops * rates.view_s + count_gmacs(work.crops, macs) * rates.gmac_s
    return rates.start_s + _spend(work.decode * rates.decode_s, rest, workers, decoders)


def _spend(decode: float, rest: float, workers: int, decoders: int) -> float:
    """Wall time of worker-seconds: a worker decodes itself, or its decoding threads work beside it."""
    if decoders:
        return max(decode / decoders, rest) / workers
    return (decode + rest) / workers


def choose_speed(
    speeds: Sequence[Speed], *, device: str, backend: str, weights_sha256: str, precision: str, res: Sequence[int]
) -> Speed | None:
    """The newest speed of this trunk, device and backend, at these resolutions (px) or else the nearest.

    Small crops take longer per GMAC, and the largest resolution takes most of the time: it is compared.
    """
    fitting = [
        speed
        for speed in speeds
        if (speed.device, speed.weights_sha256, speed.precision) == (device, weights_sha256, precision)
        and backend in ("auto", speed.backend)
    ]

    def distance(speed: Speed) -> tuple[bool, int]:
        return sorted(speed.crops) != sorted(res), abs(max(speed.crops) - max(res))

    return min(fitting, key=distance, default=None)
