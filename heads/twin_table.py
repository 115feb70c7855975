"""Images that occur twice, as a table, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fixgrid.cache.rows import Rows
from fixgrid.cache.text import escape_markdown, format_records, shorten_paths, show_path, write_path

from .twins import Twin

DOUBT = "So many look alike to this trunk that near ones and scenes may well be different images."


def format_twins(twins: Sequence[Twin], splits: Mapping[str, Rows], style: str) -> str:
    """One record per pair in one of `heads.table.FORMATS`, ending in a newline.

    JSON holds paths as they are; the others escape what a terminal or a table would obey.

    Parameters
    ----------
    twins : sequence of Twin
    splits : mapping of str to Rows
        Of the data set that the row ids are from.
    style : str
    """
    records = [_describe_twin(twin, splits, style) for twin in twins]
    if style == "table":  # whose 80 columns are for the paths
        names = {"other split": "other", "correlation": "grey", "labels differ": "labels"}
        records = [{names.get(name, name): value for name, value in one.items()} for one in records]
    short = dict.fromkeys(("path", "other path"), shorten_paths)
    return format_records(records, style, shortened=short, spare=["cosine"])


def _describe_twin(twin: Twin, splits: Mapping[str, Rows], style: str) -> dict[str, object]:
    paths = [splits[split].paths[row] for split, row in (twin.first, twin.second)]
    shown = [escape_markdown(show_path(path)) if style == "md" else write_path(path, style) for path in paths]
    none = None if style == "json" else ""
    return {
        "split": twin.first[0],
        "path": shown[0],
        "other split": twin.second[0],
        "other path": shown[1],
        "how": twin.how,
        "cosine": round(twin.cosine, 4),
        "correlation": none if twin.correlation is None else round(twin.correlation, 4),
        "labels differ": twin.conflict if style in ("json", "csv") else "differ" if twin.conflict else "",
    }


def say_unseen(unseen: int) -> str:
    """A clause about images that were not compared by pixels; empty if all were."""
    what = f"; {unseen:,} images compared by features alone: gone, changed, below 64 px or too plain"
    return what * (unseen > 0)
