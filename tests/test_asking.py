"""What was asked of one command is written as options of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from fixgrid.asking import write_options
from fixgrid.cache_requests import ReportRequest
from fixgrid.reporting import list_page_options


@dataclass
class Asked:
    """A question."""

    data: str | Path | None = None
    train_views: int | None = None
    refit: bool = False
    pairs: object = None
    out: str = "a.html"
    told: Callable[[], None] | None = field(default=None, compare=False)


@dataclass
class Other:
    """Another, that has no pairs."""

    data: str | None = None
    train_views: int = 2
    refit: bool = False
    out: str = "b"
    told: int = 0


def test_what_is_not_as_usual_and_known_to_the_other_is_told() -> None:
    asked = Asked("my photos", 0, True, "224:224", "b.html", lambda: None)
    assert write_options(asked, Other, ("out",), {}) == "--data 'my photos' --train-views 0 --refit"
    assert write_options(asked, Asked, ("out", "data"), {}) == "--train-views 0 --refit --pairs 224:224"
    assert write_options(Asked(Path("a")), Other, (), {"train_views": 3}) == "--data a --train-views 3"
    assert write_options(Asked(pairs=[224, "a"]), Asked, (), {}) == "--pairs 224,a"
    assert write_options(Asked(pairs=[(1, 2), (1, "2+3")]), Asked, (), {}) == "--pairs 1:2,1:2+3"
    assert write_options(Asked(), Other, (), {}) == ""


def test_a_reports_commands_have_the_options_that_each_knows() -> None:
    asked = ReportRequest("photos", trunk="a,b", cache="mine", heads="ridge", train_view="center", out="x/y.html")
    best = SimpleNamespace(manifest=SimpleNamespace(source="/photos"), trunk="b", features="pooled")
    options = list_page_options(asked, best)  # type: ignore[arg-type]
    assert options["fit-head"] == "--data photos --trunk a,b --cache mine --train-view center --heads ridge"
    assert options["extract"] == "--data photos --cache mine"
    assert options["report"] == "--data photos --cache mine --train-view center --heads ridge"
    assert options["duplicates"] == "--data photos --trunk b --cache mine"
    assert options["label-errors"] == "--data photos --trunk b --cache mine"
    assert set(list_page_options(ReportRequest(), best).values()) == {"", "--data /photos"}  # type: ignore[arg-type]
    assert asked.files == "y_files"
    asked = ReportRequest("photos", crop_ratio="0.875,1.0", folds=10, train_view="train,center")
    options = list_page_options(asked, best)  # type: ignore[arg-type]
    assert options["duplicates"] == options["label-errors"] == "--data photos"
    assert options["fit-head"] == "--data photos --crop-ratio 0.875,1.0 --train-view train,center --folds 10"
