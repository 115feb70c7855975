"""What `import fixgrid` gives: every command as a function, nothing slow before it is needed."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import ROOT
from test_layout import SLOW
from zoo import write_splits

import fixgrid
from fixgrid import cli

NOTEBOOK = """
import fixgrid, torch
torch.manual_seed(0)
class Mean(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 16, 5, stride=3)
    def forward(self, x):
        return self.conv(x).relu().mean((2, 3))
net = Mean()
"""
EXTRACT = """
fixgrid.extract("data", trunk=net, res=[16, 24], train_views=1, workers=1)
found = fixgrid.grid()
kept = fixgrid.fit_head(pairs=[(found.best.train_res, found.best.test_res)], out="mean")
assert kept.record["test"]["value"] == found.best.test.value
"""
PREDICT = """
found = fixgrid.predict("mean", "data/test", trunk=net, workers=1)
print(found.outcome.decoded, [p.top[0][0] for p in found.predictions])
print(fixgrid.evaluate("mean", "data", trunk=net, workers=1).figures.top1.value)
fixgrid.export("mean", "onnx", "network.onnx", trunk=net)
"""
FUNCTIONS = {name: name.replace("-", "_") for name in cli.COMMANDS if name not in ("cache", "heads")}
NOT_ARGUMENTS = {
    "style",
    "top",
    "curve",
    "per_class",
    "mistakes",
    "nested",
    "resplit",
    "place",
}  # of other functions, of printing, or another argument's other form


def python(code: str, cwd: Path, code_of_exit: int = 0) -> subprocess.CompletedProcess[str]:
    script = cwd / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script], cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == code_of_exit, done.stdout + done.stderr
    return done


def test_importing_imports_nothing_slow() -> None:
    code = "import fixgrid, sys; print(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    words = [sys.executable, "-c", code, *SLOW, "numpy", "h5py", "click", "PIL"]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split() == []


@pytest.mark.parametrize("command", FUNCTIONS)
def test_every_option_is_an_argument_of_the_function_of_its_command(command: str) -> None:
    parameters = inspect.signature(getattr(fixgrid, FUNCTIONS[command])).parameters
    options = {option.name for option in cli.main.commands[command].params}
    assert options - NOT_ARGUMENTS <= parameters.keys()


@pytest.mark.parametrize("command", FUNCTIONS)
def test_an_option_and_its_argument_have_one_default(command: str) -> None:
    parameters = inspect.signature(getattr(fixgrid, FUNCTIONS[command])).parameters
    for option in cli.main.commands[command].params:
        if option.name in NOT_ARGUMENTS or isinstance(option, click.Argument) or option.required:
            continue
        if parameters[str(option.name)].default is inspect.Parameter.empty:
            continue  # it is asked for in one form or the other
        default = option.default if isinstance(option.default, str | int | float) else None  # else click's own mark
        assert (default or None) == (parameters[str(option.name)].default or None), option.name


def test_arguments_are_given_by_name_and_explained() -> None:
    mine = ("extract", "plan", "grid", "fit_head", "curve", "report", "duplicates")
    for name in (*mine, "label_errors", "cross_validate", "choose_again"):
        function = getattr(fixgrid, name)
        first, *others = inspect.signature(function).parameters.values()
        assert first.name == "data"
        assert {parameter.kind for parameter in others} == {inspect.Parameter.KEYWORD_ONLY}
        assert not [other.name for other in others if other.name not in inspect.getdoc(function)]


def test_everything_public_is_there_and_documented() -> None:
    assert set(fixgrid.__all__) <= set(dir(fixgrid))
    for name in set(fixgrid.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(fixgrid, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'magic'"):
        _ = fixgrid.magic


def test_a_notebook_extracts_with_its_own_module_and_predicts_in_a_new_process(tmp_path: Path) -> None:
    write_splits(tmp_path / "data")
    python(NOTEBOOK + EXTRACT, tmp_path)
    lines = python(NOTEBOOK + PREDICT, tmp_path).stdout.splitlines()
    assert lines[0].startswith("0 [")  # all of them were in the cache
    top1 = json.loads((tmp_path / "mean.json").read_text())["figures"]["test"]["value"]
    assert float(lines[1]) == pytest.approx(top1)
    assert (tmp_path / "network.onnx").exists()


def test_a_head_of_an_own_module_is_refused_without_it_and_with_another(tmp_path: Path) -> None:
    write_splits(tmp_path / "data")
    python(NOTEBOOK + EXTRACT, tmp_path)
    said = python(NOTEBOOK + PREDICT.replace(", trunk=net", ""), tmp_path, 1).stderr.splitlines()[-1]
    assert "trunk=" in said
    other = NOTEBOOK.replace("stride=3", "stride=2") + PREDICT
    assert "on which the head was fitted" in python(other, tmp_path, 1).stderr
