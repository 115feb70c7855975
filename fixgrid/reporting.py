"""Report: the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from . import __version__
from .asking import takes
from .cache.disk import commit_bytes, expect_writable
from .cache.holdings import pick_data
from .cache.store import FeatureStore
from .cache.text import format_records
from .cache_requests import ReportRequest
from .embed.copies import open_copies
from .embed.manifest import find_copies
from .embed.pictures import Album
from .freshness import say_changes
from .heads.drawings import Drawing
from .heads.exhibits import fill_report
from .heads.findings import find_all
from .heads.leak import warn_of_leak
from .heads.overview import fill_overview, render_overview
from .heads.report import render_report
from .recording import records


@takes(ReportRequest)
@records(lambda page: {"page": str(page)})
def report(request: ReportRequest) -> Path:
    """Write the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it; its file.

    Of images without labels the page shows where they lie by their features, and which occur twice.

    Arguments are those of `ReportRequest`.

    Raises
    ------
    FixgridError
        As `fixgrid.grid`; also if it cannot be written.
    """
    out = Path(request.out).expanduser()
    expect_writable(out)
    made = {
        "command": request.command,
        "fixgrid": __version__,
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }
    if pick_data(FeatureStore(request.folder), request.source).task == "unlabelled":
        page, drawings = _survey(request, made)
    else:
        page, drawings = _judge(request, made)
    out = Path(request.out).expanduser()
    beside = out.with_name(f"{out.stem}_files")
    for drawing in drawings:
        commit_bytes(beside / f"{drawing.name}.png", drawing.png)
        numbers = format_records(drawing.records, "csv")
        commit_bytes(beside / f"{drawing.name}.csv", numbers.encode("utf-8", "backslashreplace"))
    commit_bytes(out, page.encode("utf-8", "backslashreplace"))
    return out


def _judge(request: ReportRequest, made: dict[str, str]) -> tuple[str, Iterable[Drawing]]:
    """The page of heads, and its figures."""
    asks = request.list_asks()
    say_changes(asks[0].holdings, request.folder, request.watcher)
    found = find_all(asks, open_copies)
    manifest = found.asked.holdings.manifest
    leak = warn_of_leak(*(asked.holdings for asked in asks))
    shown = fill_report(found, Album(manifest), made=made, leak=leak, copies=find_copies(manifest))
    return render_report(shown), shown.drawings.values()


def _survey(request: ReportRequest, made: dict[str, str]) -> tuple[str, Iterable[Drawing]]:
    """The page of images without labels, and its figures."""
    holdings = request.open()
    say_changes(holdings, request.folder, request.watcher)
    shown = fill_overview(holdings, Album(holdings.manifest), made=made, open_copies=open_copies)
    return render_overview(shown), shown.drawings.values()
