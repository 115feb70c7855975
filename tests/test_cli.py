"""The commands as a user types them, each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from zoo import write_splits

ROOT = Path(__file__).resolve().parents[1]


def run(*words: object, code: int = 0, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``python cli.py WORDS`` and expect its exit code."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FIXGRID_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *map(str, words)],
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which the three commands were run on the built-in sample."""
    folder = tmp_path_factory.mktemp("work")
    run("extract", "--res", "32,48", "--train-views", 1, cwd=folder)
    return folder


COMMANDS = {
    "extract", "plan", "search", "fit-head", "grid", "predict", "evaluate", "export", "export-features",
    "report", "duplicates", "label-errors", "nearest", "zero-shot", "models", "doctor", "cache", "heads",
}  # fmt: skip


def test_help_names_every_command_and_every_command_has_help() -> None:
    listed = run("--help").stdout.partition("Commands:")[2].partition("Always:")[0]
    assert {line.split()[0] for line in listed.splitlines() if line.strip()} == COMMANDS
    for command in COMMANDS:
        assert run(command, "--help").stdout.startswith(f"Usage: cli.py {command} ")


@pytest.mark.parametrize("command", [["models"], ["doctor"], ["cache", "ls"], ["plan", "--res", "32,48"]])
def test_tables_fit_a_terminal(command: list[str], sample: Path) -> None:
    assert max(map(len, run(*command, cwd=sample).stdout.splitlines())) <= 80


def test_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path: Path) -> None:
    (tmp_path / "h5py.py").write_text("import no_such_package")
    said = run("cache", "ls", code=2, cwd=tmp_path, PYTHONPATH=str(tmp_path)).stderr
    assert "no_such_package" in said
    assert "make setup" in said
    assert "Traceback" not in said


def test_a_second_extract_runs_the_trunk_zero_times(sample: Path) -> None:
    assert "the trunk ran 0 times" in run("extract", "--res", "32,48", "--train-views", 1, cwd=sample).stdout


def test_every_default_is_said_with_its_origin(sample: Path) -> None:
    (sample / "fixgrid.toml").write_text("res = [32, 48]\n[extract]\ntrain-views = 1\n")
    said = run("extract", cwd=sample, FIXGRID_TRUNK="efficientnet_lite0").stderr
    (sample / "fixgrid.toml").unlink()
    assert "sample (the cache holds it)" in said
    assert "efficientnet_lite0 (environment)" in said
    assert "32,48 (fixgrid.toml)" in said
    assert "features (default)" in said


def test_an_option_beats_the_environment(sample: Path) -> None:
    said = run("extract", "--res", "32", "--train-views", 1, cwd=sample, FIXGRID_RES="48").stderr
    assert "32 (option)" in said


def test_a_setting_is_called_as_its_option_is(sample: Path) -> None:
    (sample / "fixgrid.toml").write_text('format = "csv"\ncache = "~/features"\n')
    by_file = run("cache", "ls", cwd=sample, HOME=str(sample)).stdout
    (sample / "fixgrid.toml").write_text("[grid]\nfromat = 1\n")
    refused = run("cache", "ls", cwd=sample, code=2).stderr
    (sample / "fixgrid.toml").unlink()
    by_environment = run("cache", "ls", cwd=sample, FIXGRID_FORMAT="csv").stdout
    assert by_file == by_environment
    assert by_file.startswith("key,data,split,trunk,")
    assert "'fromat', which does not exist; expected format." in refused


@pytest.mark.parametrize(
    ("redirection", "code"),
    [(">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), ("2>/dev/full", 0), (">/dev/full", 5)],
)
def test_a_stream_that_is_closed_or_full_ends_no_extraction(sample: Path, redirection: str, code: int) -> None:
    words = ["sh", "-c", f'exec "$@" {redirection}', "", sys.executable, ROOT / "cli.py", "extract"]
    done = subprocess.run(
        [*words, "--res", "32,48", "--train-views", "1"], cwd=sample, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("cache", ["", "x" * 300, "/dev/null"])
def test_a_cache_that_can_be_no_folder_is_told_in_one_line(tmp_path: Path, cache: str) -> None:
    done = run("extract", "--cache", cache, code=5 if cache else 2, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [("predict", ".", "a.png"), ("export", "/", "--to", "onnx", "--out", "x"), ("fit-head", "--out", "..")]
)
def test_a_folder_is_no_head(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "is a directory" in run(*words, code=2, cwd=tmp_path).stderr


def test_a_folder_that_is_not_there_ends_with_3_and_one_line(tmp_path: Path) -> None:
    done = run("extract", "--data", tmp_path / "none", "--cache", tmp_path / "c", code=3)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_wrong_resolution_ends_with_2(tmp_path: Path) -> None:
    done = run("extract", "--res", "abc", "--cache", tmp_path, code=2)
    assert "expected whole px" in done.stderr


def test_a_grid_without_features_ends_with_4(tmp_path: Path) -> None:
    done = run("grid", "--cache", tmp_path, code=4)
    assert "extract" in done.stderr


def test_fit_head_then_grid_need_no_option(sample: Path) -> None:
    fitted = run("fit-head", cwd=sample)
    assert "accuracy" in fitted.stdout
    cells = json.loads(run("grid", "--format", "json", cwd=sample).stdout)["cells"]
    assert {(cell["train_res"], cell["test_res"]) for cell in cells} == {(32, 32), (32, 48), (48, 32), (48, 48)}
    assert sum(cell["chosen"] for cell in cells) == 1


def test_options_of_cells_serve_fit_head_and_grid_alike(sample: Path) -> None:
    words = ("--pairs", "48:48", "--heads", "ridge,lda", "--gap", "refit", "--refit", "--format", "json")
    kept = json.loads(run("fit-head", *words, "--out", "h", cwd=sample).stdout)
    (cell,) = (c for c in json.loads(run("grid", *words, cwd=sample).stdout)["cells"] if c["chosen"])
    assert (kept["family"], kept["correction"], kept["strength"]) == (cell["family"], "refit", cell["C"])
    assert kept["test"]["value"] == cell["test"]
    figures = json.loads((sample / "h.json").read_text())["figures"]
    told = {name: value for name, value in kept.items() if name not in ("warning", "reliability")}
    assert told.items() <= figures.items()


def test_a_curve_is_printed_and_keeps_no_head(sample: Path) -> None:
    words = ("--pairs", "48:48", "--strengths", "1e-3", "--curve", "1,100%", "--out", "curve", "--format", "json")
    points = json.loads(run("fit-head", *words, cwd=sample).stdout)
    assert [(p["share"], p["strength"]) for p in points] == [(0.01, 1e-3), (1.0, 1e-3)]
    assert points[0]["images"] < points[1]["images"]
    assert not list(sample.glob("curve*"))


@pytest.mark.parametrize(("option", "text"), [("--curve", "1,0%"), ("--strengths", "1,-2"), ("--strengths", "x")])
def test_a_share_or_a_strength_out_of_range_ends_with_2(sample: Path, option: str, text: str) -> None:
    assert text in run("fit-head", option, text, code=2, cwd=sample).stderr


def test_dropped_duplicates_are_said_and_give_the_cells_of_a_folder_without_them(tmp_path: Path) -> None:
    for name in ("clean", "copied"):
        write_splits(tmp_path / name)
    for i, path in enumerate(sorted((tmp_path / "copied" / "test" / "b").glob("*.png"))):
        (tmp_path / "copied" / "train" / "a" / f"copy{i}.png").write_bytes(path.read_bytes())  # under another label
    cells, said = {}, {}
    for name, words in {"clean": (), "copied": (), "dropped": ("--drop-duplicates",)}.items():
        data = "clean" if name == "clean" else "copied"
        run("extract", "--data", data, "--res", "32", "--train-views", 0, "--workers", 1, cwd=tmp_path)
        done = run("grid", "--data", data, "--heads", "ridge,mean", "--format", "json", *words, cwd=tmp_path)
        cells[name], said[name] = json.loads(done.stdout)["cells"], done.stderr
    assert cells["dropped"] == cells["clean"] != cells["copied"]
    assert "6 training images dropped" in said["dropped"]
    assert "training images dropped" not in said["copied"] + said["clean"]


def test_why_without_a_key_explains_every_missing_one(sample: Path) -> None:
    assert run("cache", "why", "--res", "32,48", "--train-views", 1, cwd=sample).stdout == "every key is cached\n"
    said = run("cache", "why", "--res", "32,40", "--train-views", 1, cwd=sample).stdout.splitlines()
    assert len([line for line in said if "px lacks" in line]) == 4
    assert {line for line in said if line.startswith("  ")} <= {"  view.res 32 -> 40", "  view.res 48 -> 40"}


def test_why_explains_a_key_by_another_one(sample: Path) -> None:
    (key, *_) = (entry["key"] for entry in json.loads(run("cache", "ls", "--format", "json", cwd=sample).stdout))
    said = run("cache", "why", key, cwd=sample).stdout
    assert "nearest key" in said
    assert f"nearest key {key}" not in said
    assert "expected one" in run("cache", "why", "zz", cwd=sample, code=2).stderr
