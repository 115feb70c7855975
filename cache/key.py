"""What identifies features: everything that changes a number, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .errors import CacheError

FORMAT = 1
# Raised when the code computes something else under an unchanged spec: another rounding, another decode rule.
SEMANTICS = 1

DTYPES = ("float32", "float16")
"""What features are stored as."""

_KINDS: dict[str, type] = {
    **dict.fromkeys(("trunk", "view", "decode"), Mapping),
    **dict.fromkeys(("precision", "dtype", "rows_sha256"), str),
    **dict.fromkeys(("views", "dim", "rows", "format", "semantics"), int),
}


@dataclass(frozen=True)
class Spec:
    """One key's content: the features of one split's rows, seen one way, by one trunk.

    Attributes
    ----------
    trunk : mapping
        ``architecture``, ``node`` (where the features are taken) and ``weights_sha256``.
    view : mapping
        The view as `embed.views.View` writes it: kind, resolution, crops, mean and std as decimal strings.
    decode : mapping
        Policies that change pixels before the view: EXIF, alpha, 16 bit, the largest image.
    precision : str
        Arithmetic of the trunk: ``fp32``, ``bf16`` or ``fp16``.
    dtype : str
        Stored type: ``float32`` or ``float16``.
    views, dim : int
        V and D of the features, shape (n, V, D).
    rows : int
        n, the number of rows.
    rows_sha256 : str
        `cache.rows.Rows.digest` of the split.
    """

    trunk: Mapping[str, Any]
    view: Mapping[str, Any]
    decode: Mapping[str, Any]
    precision: str
    dtype: str
    views: int
    dim: int
    rows: int
    rows_sha256: str
    format: int = FORMAT
    semantics: int = SEMANTICS

    @property
    def key(self) -> str:
        """Hex sha256 of the canonical JSON: the name of the folder that holds the features."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @property
    def recipe(self) -> str:
        """Hex sha256 of all but the rows: rows under equal recipes may be copied from key to key."""
        recipe = {name: value for name, value in asdict(self).items() if not name.startswith("rows")}
        return hashlib.sha256(_canonical(recipe)).hexdigest()

    def to_json(self) -> bytes:
        """Canonical JSON: sorted names, no spaces, ASCII."""
        return _canonical(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Spec:
        """The spec that `to_json` wrote.

        Raises
        ------
        CacheError
            If the text is not a spec, or is one of a newer format.
        """
        try:
            fields = json.loads(data)
            if fields["format"] > FORMAT:
                raise CacheError(
                    f"found features of format {fields['format']}, expected at most {FORMAT}: "
                    "upgrade fixgrid, or name another --cache."
                )
            spec = cls(**fields)
            if not all(isinstance(getattr(spec, name), kind) for name, kind in _KINDS.items()):
                raise TypeError("a field of another type")
            if spec.dtype not in DTYPES or min(spec.views, spec.dim, spec.rows) < 0:
                raise ValueError(f"features of {spec.rows} x {spec.views} x {spec.dim} {spec.dtype[:20]}")
            return spec
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CacheError(f"found a spec.json that is not one ({error})") from error


def explain_difference(wanted: Spec, found: Spec) -> list[str]:
    """Every field in which two specs differ, as ``view.crop_ratio 0.875 -> 1.0`` (found -> wanted)."""
    old, new = _flatten(asdict(found)), _flatten(asdict(wanted))
    names = sorted(old.keys() | new.keys())
    return [f"{name} {old.get(name)} -> {new.get(name)}" for name in names if old.get(name) != new.get(name)]


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            flat.update(_flatten(item, f"{prefix}{name}."))
        else:
            flat[prefix + name] = list(item) if isinstance(item, tuple) else item
    return flat
