"""make, .ci/setup and .ci/run, in a copy of the project with stand-ins for Python, pip and apt-get."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import ROOT

TOOLING = ("Makefile", "requirements.txt", "requirements-test.txt", ".ci/setup", ".ci/run")
NAMES = ("python3.13", "python3.12", "python3.11", "python3.10", "python3")
# Prints its version when asked, makes a .venv out of itself, and writes every other call to a log.
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) echo {version} ;;
*ensurepip*) exit {no_venv} ;;
"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/pip ;;
*) echo $FIXGRID_DATA "$@" >>calls; exit {status} ;;
esac
"""
Make = Callable[..., "subprocess.CompletedProcess[str]"]


def write_script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_python(path: Path, version: str, no_venv: int = 0, status: int = 0) -> Path:
    return write_script(path, PYTHON.format(version=version, no_venv=no_venv, status=status))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the tooling, and in bin/ no Python but those that a test writes there."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "bin").mkdir()
    for name in TOOLING:
        shutil.copy(ROOT / name, tmp_path / name)
    for name in NAMES:
        write_script(tmp_path / "bin" / name, "#!/bin/sh\nexit 127\n")
    return tmp_path


@pytest.fixture
def make(project: Path) -> Make:
    """Run make in the copy, under none of the variables of the make that may be running this test."""
    foreign = {"MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "PYTHON", "NEEDS_GB"}
    foreign |= {"FIXGRID_DATA", "FIXGRID_CACHE"}
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    environment["PATH"] = f"{project / 'bin'}{os.pathsep}{environment['PATH']}"

    def run(*words: str, program: str = "make") -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *words], cwd=project, env=environment, capture_output=True, text=True)

    return run


def own_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was printed, less the line that make adds about any failure."""
    return [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make: ***")]


def calls(project: Path) -> list[str]:
    log = project / "calls"
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("target", ["demo", "test"])
def test_an_old_python_stops_with_one_line(project: Path, make: Make, target: str) -> None:
    write_python(project / "bin" / "python3", "3.9.18")
    done = make(target, "NEEDS_GB=0")
    assert done.returncode != 0
    assert own_lines(done) == [
        "found Python 3.9.18, expected Python 3.10 to 3.13; install it or run make setup PYTHON=/path/to/python3.12"
    ]
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_small_disk_stops_with_one_line(project: Path, make: Make, target: str) -> None:
    write_python(project / "bin" / "python3", "3.12.1")
    done = make(target, "NEEDS_GB=1000000")
    assert done.returncode != 0
    (line,) = own_lines(done)
    assert re.fullmatch(r"found \d+ GB of disk .*, expected 1000000 GB .*; free some or try make setup .*", line)
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("found", ["3.9.18", "3.14.0", "3.1.5", "2.7.18", "4.0.0"])
def test_only_python_310_to_313_will_do(project: Path, make: Make, found: str) -> None:
    write_python(project / "bin" / "python3", found)
    assert f"found Python {found}," in make("setup", "NEEDS_GB=0").stderr


def test_no_python_at_all_is_said(make: Make) -> None:
    assert "found no python3.13" in make("setup", "NEEDS_GB=0").stderr


def test_a_python_without_venv_is_named_and_passed_over(project: Path, make: Make) -> None:
    write_python(project / "bin" / "python3.13", "3.13.0", no_venv=1)
    assert "found Python 3.13.0 without its venv module" in make("setup", "NEEDS_GB=0").stderr
    write_python(project / "bin" / "python3.10", "3.10.13")
    assert "Making .venv with Python 3.10.13" in make("setup", "NEEDS_GB=0").stderr


def test_the_newest_python_is_taken_unless_another_is_named(project: Path, make: Make) -> None:
    for name in ("3.10.13", "3.12.1", "3.11.7"):
        write_python(project / "bin" / f"python{name.rpartition('.')[0]}", name)
    assert "Making .venv with Python 3.12.1" in make("setup", "NEEDS_GB=0").stderr
    make("clean")
    assert "Making .venv with Python 3.10.13" in make("setup", "NEEDS_GB=0", "PYTHON=python3.10").stderr


def test_setup_installs_once_until_the_requirements_change(project: Path, make: Make) -> None:
    write_python(project / "bin" / "python3", "3.12.1")
    install = "-m pip install -qq --no-cache-dir -r requirements.txt"
    for _ in range(2):
        assert make("setup", "NEEDS_GB=0").returncode == 0
        assert calls(project) == [install]
    later = (project / ".venv" / "installed").stat().st_mtime + 10
    os.utime(project / "requirements.txt", (later, later))
    make("setup", "NEEDS_GB=0")
    assert calls(project) == [install, install]


def test_a_failed_installation_is_tried_again(project: Path, make: Make) -> None:
    write_python(project / "bin" / "python3", "3.12.1", status=1)
    assert [make("setup", "NEEDS_GB=0").returncode != 0 for _ in range(2)] == [True, True]
    assert len(calls(project)) == 2


def test_the_demo_runs_the_three_commands_and_add_no_word(project: Path, make: Make) -> None:
    write_python(project / "bin" / "python3", "3.12.1")
    make("setup", "NEEDS_GB=0")
    done = make("demo")
    assert own_lines(done) == []
    commands = ("extract --res 128,224", "fit-head", "grid")
    assert calls(project)[1:] == [f"sample cli.py {command}" for command in commands]


def test_tests_run_after_both_requirement_files_are_installed(project: Path, make: Make) -> None:
    write_python(project / "bin" / "python3", "3.12.1")
    make("test", "NEEDS_GB=0")
    installed, tested = [call.split()[-1] for call in calls(project)[:-1]], calls(project)[-1]
    assert installed == ["requirements.txt", "requirements-test.txt"]
    assert "-m pytest" in tested


def test_help_lists_every_target(make: Make) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    targets = set(phony.group(1).split()) - {"test-setup"}
    assert {line.split()[1] for line in make().stdout.splitlines()} == targets


@pytest.mark.parametrize("status", [0, 1])
def test_ci_runs_the_tests_whether_or_not_chromium_installs(project: Path, make: Make, status: int) -> None:
    for name, body in {"id": "echo 0", "apt-get": f"echo noise; exit {status}", "make": 'echo "make $*"'}.items():
        write_script(project / "bin" / name, f"#!/bin/sh\n{body}\n")
    done = make(program=".ci/run")
    assert (done.returncode, done.stdout) == (0, "make test\n")
    assert ("chromium could not be installed" in done.stderr) == bool(status)


def test_ci_fails_when_the_tests_fail(project: Path, make: Make) -> None:
    write_script(project / "bin" / "make", "#!/bin/sh\nexit 2\n")
    write_script(project / "bin" / "id", "#!/bin/sh\necho 1000\n")
    assert make(program=".ci/run").returncode == 2


def requirement_lines(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def test_every_requirement_is_bounded_on_both_sides() -> None:
    lines = requirement_lines(ROOT / "requirements.txt") + requirement_lines(ROOT / "requirements-test.txt")
    bounded = re.compile(r"[a-z][a-z0-9-]*(\[[a-z]+\])?(==[\d.]+|>=[\d.]+,<[\d.]+)(; python_version < .*)?")
    assert [line for line in lines if not bounded.fullmatch(line)] == []


def test_the_test_extra_repeats_the_test_requirements() -> None:
    tomllib = pytest.importorskip("tomllib", reason="needs tomllib, which Python 3.10 lacks")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["test"] == requirement_lines(ROOT / "requirements-test.txt")


def test_the_changelog_starts_with_the_version_of_the_project() -> None:
    declared = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    newest = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert declared is not None
    assert newest is not None
    assert declared.group(1) == newest.group(1)


def test_torch_and_torchvision_are_a_pair() -> None:
    torch, torchvision = (int(version(name).split(".")[1]) for name in ("torch", "torchvision"))
    assert torchvision - torch == 24 - 9, "torchvision 0.24 was built against torch 2.9, 0.25 against 2.10, ..."
