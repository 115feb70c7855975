"""Sealed features by split, kind of view and resolution, one of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import UsageError
from .hints import OPTIONS, Place, see_spec
from .key import explain_difference
from .scale import FIELD
from .sealed import Sealed
from .view import is_same


def sort_places(
    entries: Sequence[Sealed], rows: Mapping[str, str], view: Mapping[str, Any], prefix: str = ""
) -> dict[Place, Sealed]:
    """Entries by the split whose rows they are of, their kind of view behind a prefix, and their resolution.

    Parameters
    ----------
    entries : sequence of Sealed
    rows : mapping of str to str
        Splits by the digest of their rows.
    view : mapping
        Fields that must match where a view has them.
    prefix : str

    Raises
    ------
    UsageError
        If two are of one place.
    """
    places: dict[Place, Sealed] = {}
    for entry in entries:
        seen = see_spec(entry.spec)
        if any(name in seen and not is_same(seen[name], value) for name, value in view.items()):
            continue
        place = (rows[entry.spec.rows_sha256], prefix + seen["kind"], seen["res"])
        other = places.setdefault(place, entry)
        if other is not entry:
            lines = explain_difference(entry.spec, other.spec)
            raise UsageError(
                f"the cache holds {place[1]} views of {place[0]} at {place[2]} px twice ({'; '.join(lines)}): "
                f"{_say_choice(_name_field(line) for line in lines)}."
            )
    return places


def expect_one_look(places: Mapping[Place, Sealed]) -> None:
    """Refuse features of pixels that were normalised in several ways: a head on them could not say in which."""
    first: Sealed | None = None
    for entry in places.values():
        first = first or entry
        one, other = see_spec(first.spec), see_spec(entry.spec)
        odd = [name for name in ("mean", "std", "scale") if one[name] != other[name]]
        if odd:
            found = " and ".join(_write(seen[odd[0]]) for seen in (one, other))
            raise UsageError(f"the cache holds views of several {odd[0]} ({found}): {_say_choice(odd)}.")


def _name_field(line: str) -> str:
    """The field of a view, or the scale, that a line of `explain_difference` is about."""
    return "scale" if line.startswith(f"decode.{FIELD} ") else line.split()[0].removeprefix("view.")


def _write(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _say_choice(fields: Iterable[str]) -> str:
    """What to type where a cache holds views that differ in some fields."""
    options = [f"--{OPTIONS[name]}" for name in fields if name in OPTIONS]
    return f"choose with {' or '.join(options)}" if options else "extract into another --cache to keep them apart"
