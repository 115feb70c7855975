"""Report: the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from . import __version__
from .asking import takes
from .cache.disk import commit_bytes
from .cache.errors import FixgridError
from .cache.holdings import Holdings, list_trunks
from .cache.store import FeatureStore
from .cache.text import format_records
from .cache_requests import ReportRequest
from .embed.manifest import find_copies
from .embed.pictures import Album
from .embed.trunks.costs import COSTS_FILE, recall_costs
from .freshness import say_changes
from .heads.ask import Asked
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
    asked = request.ask()
    say_changes(asked.holdings, request.folder, request.watcher)
    manifest, others = asked.holdings.manifest, _ask_others(request, asked.holdings)
    found = find_all(asked, others, partial(recall_costs, memo=request.folder / COSTS_FILE))
    shown = fill_report(
        found,
        asked,
        Album(manifest),
        made={
            "command": request.command,
            "fixgrid": __version__,
            "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        },
        leak=warn_of_leak(asked.holdings),
        copies=find_copies(manifest),
    )
    page, out = render_report(shown), Path(request.out).expanduser()
    beside = out.with_name(f"{out.stem}_files")
    for drawing in shown.drawings.values():
        commit_bytes(beside / f"{drawing.name}.png", drawing.png)
        numbers = format_records(drawing.records, "csv")
        commit_bytes(beside / f"{drawing.name}.csv", numbers.encode("utf-8", "backslashreplace"))
    commit_bytes(out, page.encode("utf-8", "backslashreplace"))
    return out


def _ask_others(request: ReportRequest, holdings: Holdings) -> list[Asked]:
    """The same question to every other trunk that has seen these images; says which cannot answer it."""
    others = []
    for trunk, version in list_trunks(FeatureStore(request.folder), holdings.manifest).items():
        if version == holdings.version:
            continue
        try:
            others.append(replace(request, data=holdings.manifest.source, trunk=trunk).ask())
        except FixgridError as error:
            request.watcher.notice(f"note: {trunk} is not compared: {error}")
    return others
