"""How fast earlier extractions were on this machine, remembered beside the features they made."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fixgrid.cache.disk import commit_bytes, read_file

MIN_IMAGES = 16
"""Below this, opening the backends hides how fast it is."""


@dataclass(frozen=True)
class Speed:
    """What one extraction did for one trunk and how long it took, as it was measured.

    Attributes
    ----------
    host, device, backend, weights_sha256, precision : str
    crops : mapping of px to int
        Crops run through the trunk, by resolution.
    decoded : int
        Images decoded.
    stages : mapping of stage to s
        Summed over workers; see `embed.clock.Share`.
    workers, decoders : int
        Processes that were busy, and decoding threads of each (0: the process decodes itself).
    wall_s : float
        Of a pass with other trunks, the part that its seconds are of all.
    created : float
        Seconds since the epoch.
    trunk_s : mapping of px to s
        The trunk's own seconds, by resolution, summed over workers; empty if they were not recorded.
    """

    host: str
    device: str
    backend: str
    weights_sha256: str
    precision: str
    crops: Mapping[int, int]
    decoded: int
    stages: Mapping[str, float]
    workers: int
    decoders: int
    wall_s: float
    created: float
    trunk_s: Mapping[int, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """File it is remembered in: a later run of the same machine, trunk and resolutions replaces it."""
        parts = [self.host, self.device, self.backend, self.weights_sha256, self.precision, sorted(self.crops)]
        return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:16] + ".json"


def keep_speed(folder: Path, speed: Speed) -> None:
    """Remember a speed in ``<folder>/<name>.json``, unless it was measured on too few images.

    Raises
    ------
    DiskError
        If it cannot be written.
    """
    if speed.decoded >= MIN_IMAGES:
        commit_bytes(folder / speed.name, json.dumps(asdict(speed), sort_keys=True).encode("ascii"))


def recall_speeds(folder: Path) -> list[Speed]:
    """Every speed remembered of this host, newest first; files that cannot be read are passed over."""
    found = []
    for file in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            fields = json.loads(read_file(file))
            crops = {int(res): int(n) for res, n in fields.pop("crops").items()}
            trunk_s = {int(res): float(s) for res, s in fields.pop("trunk_s", {}).items()}
            found.append(Speed(crops=crops, trunk_s=trunk_s, **fields))
    mine = [speed for speed in found if speed.host == platform.node()]
    return sorted(mine, key=lambda speed: -speed.created)


def recall_ms(
    folder: Path, weights_sha256: str, resolutions: Sequence[int], precision: str = "fp32"
) -> dict[int, float]:
    """Milliseconds that a trunk took for a crop, by resolution (px), as it was last measured on this host.

    They are those of one worker: of one core, or of what drives an accelerator. A resolution at which it was never
    measured is left out.

    Parameters
    ----------
    folder : Path
        Where `keep_speed` remembers.
    weights_sha256 : str
        Of the trunk.
    resolutions : sequence of int
        px.
    precision : str
        Of the trunk's arithmetic.
    """
    found: dict[int, float] = {}
    for speed in recall_speeds(folder):
        if (speed.weights_sha256, speed.precision) == (weights_sha256, precision):
            for res in set(resolutions) & speed.trunk_s.keys() & speed.crops.keys():
                found.setdefault(res, 1e3 * speed.trunk_s[res] / speed.crops[res])
    return found
