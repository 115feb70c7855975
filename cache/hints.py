"""What to type for features that a cache lacks: the very ``extract`` that brings them, beside those that it has."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from .address import say_place
from .datasets import name_here
from .errors import say_command
from .key import Spec
from .rows import Manifest
from .scale import USUAL, Scale
from .sealed import Sealed
from .view import complete_spec

Place = tuple[str, str, int]
POOLED = "pooled"
"""The kind of features that is meant where none is named: what a trunk gives its own classifier."""
RECALIBRATED = "recalibrated "
"""Before a kind of view: as the trunk sees it once its last batch norm has the statistics of that resolution."""
OPTIONS = {"draws": "train-views", "crop_ratio": "crop-ratio", "crop_mode": "crop-mode"} | {
    name: name for name in ("seed", "resize", "resampler", "mean", "std", "interpolation", "scale")
}
"""Options that choose among views, by the field of a view that they are about."""
_USUAL = {"draws": 2, "seed": 0, "jitter": "torch", "resize": "short-side", "resampler": "pillow"}
_USUAL |= {"scale": str(USUAL)}
_LOOK = ("mean", "std", "interpolation", "crop_ratio", "crop_mode")
_ALWAYS = ("center", "train")  # kinds that need no word
_FOLDER = "features"  # the cache that is meant where none is named


@dataclass(frozen=True, eq=False)
class Hint:
    """What extracted some features, and what was asked for.

    Attributes
    ----------
    manifest : Manifest
    made : Sealed
        Features by the same trunk.
    node : str
        Kind of features.
    entries : mapping of (split, view kind, px) to Sealed
        What the cache holds of them.
    view : mapping
        Fields of the view that were asked for.
    root : Path
        The cache.
    """

    manifest: Manifest
    made: Sealed
    node: str
    entries: Mapping[Place, Sealed]
    view: Mapping[str, Any]
    root: Path

    def say(self, places: Iterable[Place]) -> str:
        """The command that fills places, seen as the others were."""
        places = list(places)
        fields = self._find_fields()
        if "train" in self.manifest.splits and "train" not in {kind for _, kind, _ in (*self.entries, *places)}:
            fields["draws"] = 0
        words = {
            "--trunk": self.made.trunk_name,
            "--weights": self.made.provenance.get("weights"),
            "--name": self.made.provenance.get("called"),
            "--precision": self.made.spec.precision if self.made.spec.precision != "fp32" else None,
            "--dtype": self.made.spec.dtype if self.made.spec.dtype != "float32" else None,
            "--features": self.node if self.node != POOLED else None,
            **{f"--{OPTIONS.get(name, name)}": _write(value) for name, value in fields.items()},
        }
        said = [str(word) for pair in words.items() if pair[1] not in (None, "") for word in pair]
        said += list_words(places)
        return say_extract(self.manifest, self.root, said, seeded="seed" in fields)

    def _find_fields(self) -> dict[str, Any]:
        """Fields of the view that ``extract`` must be told: those asked for, and those that are not as usual.

        What earlier versions extracted does not tell whether its look was the weights' own: all of it is told.
        """
        seen: dict[str, Any] = {}
        for entry in self.entries.values():
            seen = see_spec(entry.spec) | seen
        told = self.made.provenance.get("look", _LOOK)
        fields = {name: seen[name] for name in _LOOK if name in seen and name in told}
        drawn = [entry.spec.view for (_, kind, _), entry in self.entries.items() if kind in ("train", "val_train")]
        for name in ("draws", "seed", "jitter"):
            seen[name] = next((view[name] for view in drawn if name in view), _USUAL[name])
        fields |= {name: seen[name] for name, usual in _USUAL.items() if seen.get(name, usual) != usual}
        fields |= dict(self.view)
        return {name: value for name, value in fields.items() if value != _USUAL.get(name)}


def see_spec(spec: Spec) -> dict[str, Any]:
    """How images were seen, by the names of `OPTIONS`: the view, all of its fields, and the scale."""
    return {"mean": None, "std": None} | complete_spec(spec.view) | {"scale": str(Scale.from_decode(spec.decode))}


def list_words(places: Iterable[Place]) -> list[str]:
    """Options that ask for kinds of view and resolutions, whatever else they are of."""
    places = list(places)
    asked = {kind for _, kind, _ in places}
    kinds = sorted({kind.removeprefix(RECALIBRATED) for kind in asked}.difference(_ALWAYS))
    again = any(kind.startswith(RECALIBRATED) for kind in asked)
    sides = ",".join(map(str, sorted({res for _, _, res in places})))
    return [*["--views", ",".join(kinds)] * bool(kinds), *["--recalibrate"] * again, "--res", sides]


def say_extract(manifest: Manifest, root: Path, words: Iterable[str], *, seeded: bool = False) -> str:
    """``extract`` of a data set into a cache, as it can be typed here.

    Parameters
    ----------
    manifest : Manifest
    root : Path
        The cache.
    words : iterable of str
        Options and their values.
    seeded : bool
        Whether they have a ``--seed``, which counts before that of the data set's split.
    """
    options = list(manifest.options)
    if seeded and "--seed" in options:
        del options[options.index("--seed") : options.index("--seed") + 2]
    said = chain(["--data", name_here(manifest)], words, options, say_cache(root))
    return f"{say_command('extract')} {shlex.join(said)}"


def say_cache(root: Path) -> list[str]:
    """The option that names a cache, where it is not the usual one."""
    return [] if str(root) == _FOLDER else ["--cache", say_place(root)]


def _write(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
