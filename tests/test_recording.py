"""Every run that computes leaves a record beside the cache, and none fails for it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from stub import SilentWatcher
from test_keeping import fill

import fixgrid
from fixgrid.cache import disk
from fixgrid.cache.errors import CacheError, DiskError, FixgridError
from fixgrid.recording import records, to_json


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    fill(tmp_path / "c")
    return tmp_path / "c"


def read(cache: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((cache / "runs").iterdir())]


def test_a_run_is_recorded_with_options_versions_and_results(cache: Path) -> None:
    watcher = SilentWatcher()
    found = fixgrid.grid(cache=cache, heads="mean", watcher=watcher)
    [file] = (cache / "runs").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}Z-grid-[0-9a-f]{4}\.json", file.name)
    [record] = read(cache)
    assert (record["command"], record["exit"]) == ("grid", "ok")
    assert record["options"]["heads"] == "mean"
    assert record["options"]["cache"] == str(cache)
    assert not {"watcher", "on_cell"} & record["options"].keys()
    assert record["versions"]["fixgrid"] == fixgrid.__version__
    assert {"numpy", "torch"} <= record["versions"].keys()
    assert record["results"]["cells"] == 4
    assert record["results"]["val"]["value"] == found.best.val.value
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["began"])
    assert 0 <= record["seconds"] < 60


def test_heads_curves_and_reports_are_recorded_too(cache: Path, tmp_path: Path) -> None:
    kept = fixgrid.fit_head(cache=cache, heads="mean", pairs="32:48")
    fixgrid.curve(cache=cache, heads="mean", pairs="32:48", shares=[0.5, 1.0])
    fixgrid.export(kept.files[1], "sklearn", tmp_path / "out", cache=cache)
    by = {record["command"]: record for record in read(cache)}
    assert by.keys() == {"fit-head", "curve", "export"}
    assert by["fit-head"]["results"]["files"] == [str(file) for file in kept.files]
    assert by["fit-head"]["results"]["test"]["value"] == kept.record["test"]["value"]
    assert [point["share"] for point in by["curve"]["results"]["points"]] == [0.5, 1.0]
    assert by["export"]["results"]["file"] == str(tmp_path / "out.safetensors")


def test_a_run_that_fails_is_recorded_with_its_line(cache: Path) -> None:
    with pytest.raises(CacheError) as caught:
        fixgrid.grid(cache=cache, pairs="64:64")
    [record] = read(cache)
    assert (record["exit"], record["results"]) == (str(caught.value), {})


def test_no_folder_is_made_for_a_record(tmp_path: Path) -> None:
    with pytest.raises(CacheError):
        fixgrid.grid(cache=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "photos").mkdir()
    with pytest.raises(CacheError):
        fixgrid.grid(cache=tmp_path / "photos")
    assert not [*(tmp_path / "photos").iterdir()]


def test_a_cache_that_cannot_be_written_costs_the_record_alone(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise DiskError("full")

    monkeypatch.setattr(disk, "commit_stream", refuse)
    assert fixgrid.grid(cache=cache, heads="mean").cells
    assert not (cache / "runs").exists()


def test_results_that_cannot_be_told_cost_themselves_alone(cache: Path) -> None:
    @records(lambda found: {"oops": 1 / 0})
    def compute(cache: Path) -> int:
        return 7

    assert compute(cache) == 7
    assert [(record["exit"], record["results"]) for record in read(cache)] == [("ok", {})]


def test_whatever_ends_a_run_is_named(cache: Path) -> None:
    @records(dict)
    def stop(cache: Path, error: BaseException) -> dict[str, int]:
        raise error

    for error in (KeyboardInterrupt(), FixgridError("one line"), ValueError("two\nlines")):
        with pytest.raises(type(error)):
            stop(cache, error)
    ends = {record["exit"] for record in read(cache)}
    assert ends == {"KeyboardInterrupt: KeyboardInterrupt", "one line", "ValueError: two"}


def test_any_value_is_told_and_no_iterator_is_used_up() -> None:
    paths = iter(["a", "b"])
    told = to_json({"a": (1, None, Path("x"), b"\xff"), "b": list(range(200)), "c": paths, 4: float})
    assert json.loads(json.dumps(told)) == told
    assert told["a"] == [1, None, "x", "\\xff"]
    assert told["b"][-1] == "and 100 more"
    assert list(paths) == ["a", "b"]


def test_gc_leaves_records_alone(cache: Path) -> None:
    fixgrid.grid(cache=cache, heads="mean")
    fixgrid.clean_cache(cache, remove=True)
    assert len(read(cache)) == 1
