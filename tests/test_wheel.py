"""The package as pip installs it: nothing beside ``fixgrid``, and commands that call themselves so."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("setuptools", minversion="77")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():  # what a clone has, for a build leaves traces where it runs
        if name.startswith("tests/") or not (ROOT / name).exists():
            continue
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to(os.readlink(ROOT / name))
        else:
            target.write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(folder), str(source)], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder that pip installed the wheel into, without what it needs: that is here already."""
    target = wheel.parent / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(list(map(str, pip)), check=True, capture_output=True)
    return target


def run(installed: Path, *words: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIXGRID_")}
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "fixgrid"), *map(str, words)],
        cwd=cwd,
        env={**env, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_wheel_holds_fixgrid_and_nothing_beside_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name.partition("-")[0] for name in top} == {"fixgrid"}
    assert {"fixgrid/cli.py", "fixgrid/cache/store.py", "fixgrid/heads/report.html.j2"} <= set(names)
    assert {"fixgrid/embed/trunks/published.tsv", "fixgrid/embed/trunks/curated.tsv"} <= set(names)
    assert not [name for name in names if "tests" in name.split("/") or Path(name).name.startswith("test_")]


def test_a_wheel_has_every_module_of_a_clone(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    modules = {
        str(Path("fixgrid", path.relative_to(ROOT)))
        for room in ("cache", "embed", "heads")
        for path in (ROOT / room).rglob("*.py")
    }
    assert modules <= names


def test_installed_commands_work_elsewhere_and_call_themselves_fixgrid(installed: Path, tmp_path: Path) -> None:
    said = run(installed, "grid", cwd=tmp_path, code=4).stderr
    assert "run fixgrid extract" in said
    assert "cli.py" not in said
    run(installed, "extract", "--res", "32", "--train-views", "0", "--workers", "1", cwd=tmp_path)
    assert "chosen on val" in run(installed, "grid", cwd=tmp_path).stdout
    assert "head written to" in run(installed, "fit-head", "--out", "digits", cwd=tmp_path).stderr
    image = next((tmp_path / "features" / "sample" / "digits" / "test").rglob("*.png"))
    assert str(image.name) in run(installed, "predict", "digits", image, cwd=tmp_path).stdout
    run(installed, "export", "digits", "--to", "onnx", "--out", "network.onnx", cwd=tmp_path)
    assert (tmp_path / "network.onnx").stat().st_size > 1e7
    run(installed, "report", cwd=tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "fixgrid report" in page
    assert "cli.py" not in page
