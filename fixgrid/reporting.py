"""Report: the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it."""

from __future__ import annotations

import time
from pathlib import Path

from . import __version__
from .asking import takes
from .cache.disk import commit_bytes, expect_writable
from .cache.text import format_records
from .cache_requests import ReportRequest
from .embed.manifest import find_copies
from .embed.pictures import Album
from .freshness import say_changes
from .heads.exhibits import fill_report
from .heads.findings import find_all
from .heads.leak import warn_of_leak
from .heads.report import render_report
from .recording import records


@takes(ReportRequest)
@records(lambda page: {"page": str(page)})
def report(request: ReportRequest) -> Path:
    """Write the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it; its file.

    Arguments are those of `ReportRequest`.

    Raises
    ------
    FixgridError
        As `fixgrid.grid`; also if it cannot be written.
    """
    out = Path(request.out).expanduser()
    expect_writable(out)
    asks = request.list_asks()
    say_changes(asks[0].holdings, request.folder, request.watcher)
    found = find_all(asks)
    manifest = found.asked.holdings.manifest
    shown = fill_report(
        found,
        Album(manifest, found.asked.holdings.scale),
        made={
            "command": request.command,
            "fixgrid": __version__,
            "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        },
        leak=warn_of_leak(*(asked.holdings for asked in asks)),
        copies=find_copies(manifest),
    )
    page = render_report(shown)
    beside = out.with_name(f"{out.stem}_files")
    for drawing in shown.drawings.values():
        commit_bytes(beside / f"{drawing.name}.png", drawing.png)
        numbers = format_records(drawing.records, "csv")
        commit_bytes(beside / f"{drawing.name}.csv", numbers.encode("utf-8", "backslashreplace"))
    commit_bytes(out, page.encode("utf-8", "backslashreplace"))
    return out
