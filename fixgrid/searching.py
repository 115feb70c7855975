"""Which trunks there are, from a file: neither torch nor what reads features is imported."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from .cache.text import format_records
from .embed.trunks.catalogue import NON_COMMERCIAL, CatalogueEntry, list_trunks, search_trunks

NAME_WIDTH = 37
"""What 80 columns leave for a name; a longer one has a line of its own."""


def models(pattern: str | Sequence[str] = ()) -> list[dict[str, Any]]:
    """Trunks: size, cost, accuracy, licence, which resolutions they take, and whether their weights are here.

    Parameters
    ----------
    pattern : str or sequence of str
        Words: parts of names, or globs, that must all occur, looked for in everything that timm, torchvision and
        fixgrid have weights for. Without any: some 90 worth knowing, by family, the default first.

    Raises
    ------
    UsageError
        If nothing has all of them.
    """
    words = " ".join([pattern] if isinstance(pattern, str) else pattern).split()
    return list(map(_describe, search_trunks(words) if words else list_trunks()))


def _describe(entry: CatalogueEntry) -> dict[str, Any]:
    return {
        "trunk": entry.name,
        "family": entry.family,
        "M params": None if entry.parameters is None else round(entry.parameters / 1e6, 1),
        "px": entry.native_res,
        "sizes": entry.sizes,
        "GMAC": None if entry.macs is None else round(entry.macs / 1e9, 2),
        "top-1 %": entry.top1,
        "top-1 px": entry.top1_res,
        "top-1 from": entry.source,
        "licence": entry.licence,
        "terms": entry.terms if entry.available else "",
        "here": entry.is_here(),
        "weights": entry.weights or "never released",
        "crop mode": entry.crop_mode or "center",
        "note": entry.note,
    }


def format_models(records: list[dict[str, Any]], style: str = "table", *, families: bool = False) -> str:
    """What `models` gives as ``table``, ``md``, ``csv`` or ``json``; the table fits 80 columns.

    Parameters
    ----------
    records : list of dict
    style : str
    families : bool
        Head the table's families.
    """
    if style != "table":
        return format_records(records, style)
    fields = ("Mpar", "px", "fits", "GMAC", "top-1", "licence")
    lines = [f"  {'trunk':<{NAME_WIDTH}}  {_align(fields)}".rstrip()]
    lines.append("-" * len(lines[0]))
    for family, alike in groupby(records, key=lambda record: str(record["family"])):
        lines += [family] if families else []
        lines += [line for record in alike for line in _draw(record)]
    return "\n".join([*lines, "", *_list_notes(records), *_explain(records)]) + "\n"


def _list_notes(records: list[dict[str, Any]]) -> list[str]:
    """Each note once, behind the trunk that it is of, or the family."""
    noted: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        noted.setdefault(record["note"], []).append(record)
    return [
        f"{alike[0]['trunk'] if len(alike) == 1 else alike[0]['family']}: {note}"
        for note, alike in noted.items()
        if note
    ]


def _draw(record: dict[str, Any]) -> list[str]:
    """One trunk as a line, or as two where its name is long."""
    name = str(record["trunk"]).removeprefix("timm:")
    start = f"{'*' if record['here'] else ' '} {name:<{NAME_WIDTH}}"
    values = _align(_shorten(record))
    if len(name) > NAME_WIDTH:
        return [start, f"{'':{NAME_WIDTH + 2}}  {values}".rstrip()]
    return [f"{start}  {values}".rstrip()]


def _shorten(record: dict[str, Any]) -> tuple[str, ...]:
    parameters, macs, top1, px = (record[name] for name in ("M params", "GMAC", "top-1 %", "px"))
    licence, terms = record["licence"], record["terms"]
    takes = str(record["sizes"]).replace("multiples of ", "x")
    return (
        "" if parameters is None else f"{parameters:.1f}" if parameters < 1000 else f"{parameters:.0f}",
        str(px or ""),
        "only" if takes.endswith("only") else takes,
        "" if macs is None else f"{macs:.3g}" if macs < 1000 else f"{macs:.0f}",
        "" if top1 is None else f"{top1:.1f}" + ("+" if px and record["top-1 px"] > px else " "),
        {NON_COMMERCIAL: "NC", "publisher's own": "own", "not stated": "?"}.get(
            terms, licence.replace("-", " ").partition(" ")[0]
        ),
    )


def _align(values: Sequence[str]) -> str:
    *numbers, terms = values
    return "  ".join([*(f"{value:>{width}}" for value, width in zip(numbers, (5, 4, 4, 4, 5), strict=True)), terms])


def _explain(records: list[dict[str, Any]]) -> list[str]:
    """What the table's signs mean, as far as it has them."""
    terms = {record["terms"] for record in records}
    larger = any(record["top-1 px"] and record["px"] and record["top-1 px"] > record["px"] for record in records)
    lines = [
        ("* its weights are here", any(record["here"] for record in records)),
        ("x14: takes multiples of 14 px; any: takes all; only: no other than px", True),
        ("+ published at a larger size than px", larger),
        ("NC: not for commercial use", NON_COMMERCIAL in terms),
        ("own: the publisher's own licence, to be read before use", "publisher's own" in terms),
        ("?: no licence is stated", "not stated" in terms),
        ("in full, with licences and where weights come from: --format csv", True),
    ]
    return [line for line, wanted in lines if wanted]
