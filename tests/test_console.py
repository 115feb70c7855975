"""How much is said: quiet, as usual, verbose; and what the library tells Python's logging."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from test_script import CODE, LAYERS
from zoo import write_splits

import fixgrid
from fixgrid import cli
from fixgrid.commands import pace
from fixgrid.commands.console import Console, listen


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


@pytest.mark.parametrize(("loudness", "said"), [((), "loading libraries\n"), (("-q",), "")], ids=["usual", "quiet"])
def test_work_that_says_nothing_is_named_beside_the_result(
    monkeypatch: pytest.MonkeyPatch, loudness: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(pace, "FIRST_AFTER_S", 0.0)

    @click.command()
    @click.option("--quiet", "-q", is_flag=True, expose_value=False, is_eager=True, callback=listen)
    @click.pass_context
    def work(ctx: click.Context) -> None:
        with Console(ctx) as console:
            while console._thread.is_alive() and console._pace._said is None:
                time.sleep(0.01)
        click.echo("result")

    done = CliRunner().invoke(work, loudness)
    assert (done.stdout, done.stderr) == ("result\n", said)


def test_a_terminal_that_is_gone_ends_neither_the_work_nor_what_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        drawn = 0

        def stop(self) -> None:
            raise OSError(5, "Input/output error")

        def refresh(self) -> None:
            Gone.drawn += 1
            raise OSError(5, "Input/output error")

        def update(self, task: int, **said: object) -> None:
            assert task == 0

        task_ids = (0,)

    ended: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)
    monkeypatch.setattr("fixgrid.commands.console._is_terminal", lambda: True)
    with click.Context(cli.main) as ctx, Console(ctx) as console:
        console._bar = Gone()
        started = time.monotonic()
        while Gone.drawn < 2 and console._thread.is_alive() and time.monotonic() < started + 20:
            time.sleep(0.01)
    assert Gone.drawn >= 2
    assert not ended


@pytest.mark.parametrize("module", ["click", "fixgrid.commands.usage", "fixgrid.commands.heads"])
def test_a_key_pressed_while_the_program_starts_ends_it_with_one_line(module: str) -> None:
    code = f"""
import runpy, sys

class Press:
    def find_spec(self, name, *args):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Press())
runpy.run_path("cli.py", run_name="__main__")
"""
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "Error: stopped.\n")


def test_quiet_leaves_the_warning_of_a_leak(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgrid.fitting.warn_of_leak", lambda *holdings: "Leak: seen before.")
    for words in (["grid"], ["fit-head", "--out", str(work / "h")], ["fit-head", "--curve", "100"]):
        asked = ["-q", *words, "--cache", str(work / "c"), "--heads", "mean"]
        done = CliRunner().invoke(cli.main, asked)
        assert (done.exit_code, done.stderr) == (0, "")
        assert "Leak: seen before." in done.stdout
