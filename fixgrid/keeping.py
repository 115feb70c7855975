"""Kept heads: where one goes, what it takes the place of, and which a cache has."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cache.address import say_place
from .cache.datasets import name_data, shorten_source
from .cache.disk import is_refused
from .cache.errors import CacheError, DiskError, say_command
from .cache.holdings import POOLED, Holdings
from .cache.mirror import open_folder
from .cache.text import escape_markdown, format_records, shorten_names, shorten_paths, show_text
from .embed.watcher import Quiet, Watcher
from .heads.artifact import SavedHead, load_head, name_files, save_head
from .heads.kept import choose_stem, find_question, find_stem, name_question
from .heads.measures import MEASURES, Measure


def keep_head(
    saved: SavedHead, holdings: Holdings, folder: Path, out: Path | None, watcher: Watcher
) -> tuple[Path, Path]:
    """Write a head's two files; says whose place it takes, or that another has the name that was meant for it.

    Parameters
    ----------
    saved : SavedHead
    holdings : Holdings
        That it was fitted from.
    folder : Path
        The cache.
    out : Path or None
        Without suffix; if not given, beside the features where the head of this question is, else named after data,
        trunk and pair.
    watcher : Watcher

    Raises
    ------
    DiskError
        If it cannot be written; names ``--out`` where that was not given.
    """
    question, (data, rest) = name_question(saved), _name_parts(saved, holdings)
    kept = find_stem(folder / "heads", _clean(shorten_source(holdings.manifest.source)), rest, question)
    stem = out or kept or choose_stem(folder / "heads", data, rest, question)
    if stem not in (out, kept) and stem.name != f"{data}-{rest}":
        watcher.notice(f"note: {data}-{rest} is the name of another head, or too long; this one is {stem.name}")
    found = find_question(stem)
    replaced = None if found in (None, question) else _describe_place(stem)
    try:
        files = save_head(stem, saved)
    except DiskError as error:
        if out is None and is_refused(error):
            raise DiskError(f"{error} Or keep the head elsewhere: --out FILE.") from error
        raise
    if replaced is not None:
        watcher.notice(f"note: replaced {say_place(files[1])}, which held {replaced}")
    return files


def _name_parts(saved: SavedHead, holdings: Holdings) -> tuple[str, str]:
    """A head's default name: what its data set is called, and the rest."""
    data = _clean(name_data(holdings.manifest))
    trunk = re.sub(r"[^\w.:@-]+", "-", holdings.trunk)
    kind = "" if holdings.features == POOLED else f"-{holdings.features}"
    return data, f"{trunk}{kind}-{saved.figures['train_res']}-{saved.figures['test_res']}"


def _clean(data: str) -> str:
    return re.sub(r"[^\w.-]+", "-", data) or "data"


def _describe_place(stem: Path) -> str:
    try:
        found = describe_head(stem, load_head(stem))
    except CacheError as error:
        return f"no head that can be read ({error})"
    return f"the head of {found['data']}, {found['trunk']}, {found['pair']} px, {found['when']}"


def describe_head(stem: Path, saved: SavedHead) -> dict[str, Any]:
    """A kept head in a record: what it is of, how it did, on how many images it was trained, and when."""
    figures, trunk = saved.figures, saved.trunk
    written = time.gmtime(name_files(stem)[1].stat().st_mtime)
    val, test = (_read_value(figures.get(split)) for split in ("val", "test"))
    trained = sum(int(rows.get("images", 0)) for rows in saved.trained_on.values())
    return {
        "name": name_files(stem)[1].name.removesuffix(".json"),
        "data": str(saved.data.get("source", "")),
        "trunk": str(trunk.get("called") or trunk.get("trunk", "")),
        "pair": f"{figures.get('train_res', '?')}:{figures.get('test_res', '?')}",
        "family": str(figures.get("family", "logistic")),
        "metric": str(figures.get("metric", "accuracy")),
        "val": val,
        "test": test,
        "trained on": trained or None,
        "when": time.strftime("%Y-%m-%d %H:%M:%S UTC", written),
    }


def _read_value(estimate: Any) -> float | None:
    return float(estimate["value"]) if isinstance(estimate, dict) and "value" in estimate else None


def find_head(head: str | Path, cache: str | Path, watcher: Watcher) -> Path:
    """Where a kept head is: a path, or of one named without a folder that is not here, beside the cache.

    Of one that is in both places, which was taken is said.

    Raises
    ------
    CacheError
        If it is neither here nor there.
    """
    path = Path(head).expanduser()
    kept = open_folder(cache) / "heads" / path
    if str(path) != path.name:
        return path
    here, there = (any(file.exists() for file in name_files(place)) for place in (path, kept))
    if here and there and path.resolve() != kept.resolve():
        place = say_place(kept.parent)
        watcher.notice(f"note: {path.name} is the one here, not that of {place}: give a path to take either")
    if here or there:
        return path if here else kept
    listed = say_command("heads ls")
    raise CacheError(
        f"found no head {path.name} here or in {say_place(kept.parent)}; expected one of those that {listed} lists."
    )


def list_heads(cache: str | Path = "features", *, watcher: Watcher | None = None) -> list[dict[str, Any]]:
    """Every head that `fit_head` kept beside a cache, in the order of names.

    Files that are no usable head are named in a notice, and passed over.

    Parameters
    ----------
    cache : str or Path
    watcher : Watcher, optional

    Returns
    -------
    list of dict
        Name, data, trunk, pair of resolutions (px), family, what figures are (see `heads.measures.MEASURES`),
        those on val and test (percentages as shares), images that it was trained on (None of heads of earlier
        versions), and when it was written.
    """
    watcher, found = watcher or Quiet(), []
    for file in sorted((open_folder(cache) / "heads").glob("*.json"), key=lambda file: file.stem):
        try:
            found.append(describe_head(file, load_head(file)))
        except (CacheError, OSError, ValueError, TypeError, AttributeError) as error:
            watcher.notice(f"note: {file.name} is passed over: {error}")
    return found


def format_heads(records: list[dict[str, Any]], style: str = "table") -> str:
    """What `list_heads` gives as ``table``, ``md``, ``csv`` or ``json``; the table fits 80 columns."""
    if style in ("json", "csv"):
        return format_records(records, style)
    return format_records(
        [_shorten(record, escape_markdown if style == "md" else show_text) for record in records],
        style,
        wrapped=["head"],
        broken=["name"],
        shortened={"data": shorten_paths, "trunk": shorten_names, "pair": shorten_names},
        spare=["trunk", "when", "data", "pair"],  # a head that nobody named says them in its name
    )


def _show_value(value: float | None, measure: Measure | None) -> str:
    if value is None:
        return ""
    return measure.shorten(value) if measure else f"{value:.3f}"


def _shorten(record: dict[str, Any], show: Callable[[str], str]) -> dict[str, Any]:
    measure = MEASURES.get(record["metric"])  # a later version may know others
    val, test = (_show_value(record[split], measure) for split in ("val", "test"))
    figure = "" if record["metric"] == "accuracy" else f", {measure.title if measure else record['metric']}"
    return {
        "name": show(record["name"]),
        "data": show(record["data"]),
        "trunk": show(record["trunk"]),
        "pair": record["pair"],
        "head": f"{record['family']}{figure}",
        "val": val,
        "test": test,
        "images": "" if record["trained on"] is None else f"{record['trained on']:,}",
        "when": record["when"][:10],
    }
