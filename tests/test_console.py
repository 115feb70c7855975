"""How much is said: quiet, as usual, verbose; and what the library tells Python's logging."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from test_script import CODE, LAYERS
from zoo import write_splits

import fixgrid
from fixgrid import cli


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images with a file that is none, and a cache of them."""
    folder = tmp_path_factory.mktemp("work")
    write_splits(folder / "data")
    (folder / "data" / "list.txt").touch()
    (folder / "script_layers.py").write_text(LAYERS)
    (folder / "nets.py").write_text(CODE)
    extract(folder)
    return folder


def extract(folder: Path, **options: object) -> None:
    trunk = f"{folder}/nets.py:build"
    fixgrid.extract(folder / "data", trunk=trunk, res=24, engine="inline", cache=folder / "c", **options)


def grid(work: Path, *before: str, behind: str = "") -> Result:
    words = [*before, "grid", "--cache", str(work / "c"), "--heads", "mean", *behind.split()]
    done = CliRunner().invoke(cli.main, words)
    assert done.exit_code == 0, done.output
    return done


def test_quiet_leaves_the_result_alone(work: Path) -> None:
    usual = grid(work)
    assert "data" in usual.stderr
    for quiet in (grid(work, "-q"), grid(work, behind="-q"), grid(work, "--quiet")):
        assert (quiet.stdout, quiet.stderr) == (usual.stdout, "")


def test_quiet_keeps_errors(work: Path) -> None:
    done = CliRunner().invoke(cli.main, ["-q", "grid", "--cache", str(work / "none")])
    assert done.exit_code == 4
    assert done.stderr.startswith("Error: ")


def test_verbose_tells_keys_and_times(work: Path) -> None:
    usual, verbose = grid(work), grid(work, behind="-v")
    assert verbose.stdout == usual.stdout
    assert ": pooled of train, center at 24 px" in verbose.stderr
    assert "grid: ok, " in verbose.stderr
    assert "key" not in usual.stderr
    assert not logging.getLogger("fixgrid").handlers


def test_the_library_prints_nothing_and_tells_logging_what_it_does(
    work: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "fixgrid"):
        extract(work)
    assert capfd.readouterr() == ("", "")
    said = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "fixgrid"]
    assert ("INFO", f"cache {work / 'c'}") in said
    assert [line for level, line in said if line.startswith("note: ignored 1 file(s)") and level == "INFO"]
    assert [line for _, line in said if line.startswith("extract: ok, ")]
