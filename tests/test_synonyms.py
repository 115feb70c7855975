"""Words of other tools lead to those of this one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fixgrid import cli
from fixgrid.commands.synonyms import _OPTIONS, _VALUES, suggest_command, suggest_option, suggest_value

COMMANDS = {name: cli.main.commands[name] for name in cli.COMMANDS}
OWN = {
    name: [opt for param in one.params for opt in param.opts if opt[:1] == "-"] for name, one in COMMANDS.items()
}


@pytest.mark.parametrize(
    ("command", "typed", "said"),
    [
        ("extract", "--model", "type --trunk"),
        ("extract", "--img-size", "type --res"),
        ("extract", "--IMAGE_SIZE", "type --res"),
        ("grid", "--input-size", "type --pairs TRAIN:TEST"),
        ("predict", "--num-workers", "type --workers"),
        ("extract", "-o", "type --cache"),
        ("report", "--output_dir", "type --out"),
        ("extract", "--output", "type --cache"),
        ("extract", "--checkpoint", "type --weights"),
        ("plan", "-d", "type --data"),
        ("search", "--data_dir", "type --data"),
        ("extract", "--half", "type --precision fp16"),
        ("fit-head", "--classifier", "type --heads"),
        ("grid", "--json", "type --format json"),
        ("predict", "-k", "type --top"),
        ("extract", "--train_views", "type --train-views"),
        ("extract", "--Res", "type --res"),
        ("extract", "--worker", "type --workers"),
        ("evaluate", "--split", "type --of"),
        ("export", "--format", "type --to"),
        ("extract", "--heads", "--heads belongs to fit-head"),
        ("extract", "--num_worker", "type --workers"),  # near to a word of another tool
        ("extract", "--zzzzz", ""),
    ],
)
def test_an_option_is_called_by_its_name_here(command: str, typed: str, said: str) -> None:
    assert suggest_option(typed, OWN[command], {"fit-head": OWN["fit-head"]}) == said


@pytest.mark.parametrize("typed", ["-b", "--bs", "--batch-size", "--BATCH_SIZE", "--lr", "--epochs", "--shuffle"])
def test_what_has_no_option_is_told_why(typed: str) -> None:
    assert suggest_option(typed, OWN["extract"], {}).startswith("leave it out: ")


def test_a_single_letter_is_not_a_long_option() -> None:
    assert suggest_option("--C", OWN["grid"], {}) == "type --strengths"
    assert suggest_option("-C", [*OWN["grid"], "--config"], {}) == "type --config"


def test_every_option_and_value_that_is_named_exists() -> None:
    there = {option for own in OWN.values() for option in own} | {"--quiet", "--verbose", "--config", "--yes"}
    there |= {option for name in ("cache", "heads") for part in COMMANDS[name].commands.values()
              for param in part.params for option in param.opts}  # fmt: skip
    assert {option.split()[0] for option in _OPTIONS} <= there
    known = {param.name for one in COMMANDS.values() for param in one.params}
    assert known >= _VALUES.keys()


@pytest.mark.parametrize(
    ("typed", "command"),
    [("train", "fit-head"), ("extrct", "extract"), ("ls", "cache ls"), ("infer", "predict"), ("zzzz", "")],
)
def test_a_command_is_called_by_its_name_here(typed: str, command: str) -> None:
    assert suggest_command(typed, cli.COMMANDS) == command


@pytest.mark.parametrize(
    ("typed", "better"),
    [
        (["cache", "list"], "cache ls"),
        (["cache", "verfy"], "cache verify"),
        (["cache", "rm"], "cache gc"),
        (["heads", "list"], "heads ls"),
        (["heads", "rm"], "heads [OPTIONS] COMMAND"),
        (["plan", "help"], "plan --help"),
    ],
)
def test_a_word_behind_a_command_is_answered_with_one_of_that_command(typed: list[str], better: str) -> None:
    assert f"python cli.py {better}" in CliRunner().invoke(cli.main, typed, prog_name="cli.py").output


@pytest.mark.parametrize(
    ("parameter", "typed", "value"),
    [
        ("precision", "bfloat16", "bf16"),
        ("precision", "16", "bf16 or fp16"),
        ("dtype", "HALF", "float16"),
        ("heads", "linear_probe", "logistic"),
        ("heads", "ncm", "mean"),
        ("style", "yaml", "json"),
        ("precision", "fp16", ""),
        ("trunk", "half", ""),
    ],
)
def test_a_value_is_called_by_its_name_here(parameter: str, typed: str, value: str) -> None:
    assert suggest_value(parameter, typed) == value


def test_no_value_that_is_taken_is_another_one_s_name() -> None:
    taken = {param.name: getattr(param.type, "choices", ()) for one in COMMANDS.values() for param in one.params}
    assert not [(name, value) for name in _VALUES for value in taken[name] if suggest_value(str(name), value)]
