"""Report: the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import __version__
from .asking import takes, write_options
from .auditing import LabelsRequest
from .cache.disk import commit_bytes, expect_writable
from .cache.errors import say_command
from .cache.holdings import Holdings, pick_data
from .cache.store import FeatureStore
from .cache.text import format_records, to_csv
from .cache_requests import HeadRequest, ReportRequest
from .embed.copies import open_copies
from .embed.pictures import Album
from .embed.repeats import find_copies
from .feature_requests import FeaturesRequest
from .freshness import say_changes
from .heads.doubtful import show_doubtful
from .heads.drawings import Drawing
from .heads.exhibits import fill_report
from .heads.findings import find_all
from .heads.leak import warn_of_leak
from .heads.mistakes import name_fields, record_mistakes
from .heads.overview import fill_overview, render_overview
from .heads.report import render_report
from .recording import records
from .requests import ExtractRequest

Records = list[dict[str, Any]]


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
    lists: dict[str, str] = {}
    if pick_data(FeatureStore(request.folder), request.source).task == "unlabelled":
        page, drawings = _survey(request, made)
    else:
        page, drawings, lists = _judge(request, made)
    beside = out.with_name(request.files)
    request.watcher.phase("writing figures")
    for drawing in drawings:
        commit_bytes(beside / f"{drawing.name}.png", drawing.png)
        numbers = format_records(drawing.records, "csv")
        commit_bytes(beside / f"{drawing.name}.csv", numbers.encode("utf-8", "backslashreplace"))
    for name, text in lists.items():
        commit_bytes(beside / f"{name}.csv", text.encode("utf-8", "backslashreplace"))
    commit_bytes(out, page.encode("utf-8", "backslashreplace"))
    return out


def _judge(request: ReportRequest, made: dict[str, str]) -> tuple[str, Iterable[Drawing], dict[str, str]]:
    """The page of heads, its figures, and lists beside it as CSV."""
    asks = request.list_asks()
    say_changes(asks[0].holdings, request.folder, request.watcher)
    found = find_all(asks, request.watcher.phase, open_copies)
    holdings = found.asked.holdings
    manifest, album = holdings.manifest, Album(holdings.manifest, holdings.scale)
    leak = warn_of_leak(*(asked.holdings for asked in asks))
    request.watcher.phase("looking for label errors")
    options = list_page_options(request, holdings)
    command = say_command(f"label-errors {options['label-errors']}".strip())
    doubtful = show_doubtful(holdings, album, request.folder / "cells", command=command, files=request.files)
    request.watcher.phase("drawing figures")
    shown = fill_report(
        found,
        album,
        made=made,
        leak=leak,
        copies=find_copies(manifest),
        doubtful=doubtful,
        files=request.files,
        options=options,
    )
    wrong = record_mistakes(shown.wrong, shown.classes, "csv")
    lists = {"mistakes": to_csv(wrong, name_fields(shown.answers.task))}
    lists |= {"label_errors": doubtful.csv} if doubtful.csv else {}
    return render_report(shown), shown.drawings.values(), lists


def _survey(request: ReportRequest, made: dict[str, str]) -> tuple[str, Iterable[Drawing]]:
    """The page of images without labels, and its figures."""
    holdings = request.open()
    say_changes(holdings, request.folder, request.watcher)
    request.watcher.phase("drawing figures")
    album = Album(holdings.manifest, holdings.scale)
    shown = fill_overview(holdings, album, made=made, open_copies=open_copies)
    return render_overview(shown), shown.drawings.values()


def list_page_options(request: ReportRequest, best: Holdings) -> dict[str, str]:
    """What a command must be given, so that it is about the features that a report is of, by its name.

    Parameters
    ----------
    request : ReportRequest
    best : Holdings
        What the chosen head is of.
    """
    one = {name: getattr(best, name) for name in ("trunk", "features") if getattr(request, name) is not None}
    several = request.crop_ratio == "all" or isinstance(request.crop_ratio, list | tuple)
    ratio = ("crop_ratio",) if several or "," in str(request.crop_ratio) else ()
    source = request.source or best.manifest.source
    told = {
        "extract": (ExtractRequest, ("trunk", "features", *ratio), {"data": source}),
        "report": (ReportRequest, ("trunk", "out", "command"), {}),
        "fit-head": (HeadRequest, ("out",), {}),
        "duplicates": (FeaturesRequest, ("train_view", *ratio), one),
        "label-errors": (LabelsRequest, ("folds", *ratio), one),
    }
    return {name: write_options(request, kind, left, more) for name, (kind, left, more) in told.items()}
