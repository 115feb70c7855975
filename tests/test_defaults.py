"""Defaults from fixgrid.toml, and from another file by --config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fixgrid import cli


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(*words: str, code: int = 0, **env: str) -> Result:
    done = CliRunner().invoke(cli.main, words, env=env)
    assert done.exit_code == code, done.output
    return done


MODELS = ("models", "efficientnet_lite0")


@pytest.mark.parametrize("where", ["before", "behind", "environment"])
def test_another_file_takes_the_place_of_the_one_found(here: Path, where: str) -> None:
    (here / "fixgrid.toml").write_text('format = "csv"\n')
    (here / "other.toml").write_text('[models]\nformat = "json"\n')
    words = {"before": ("--config", "other.toml", *MODELS), "behind": (*MODELS, "--config=other.toml")}
    env = {"FIXGRID_CONFIG": "other.toml"} if where == "environment" else {}
    assert json.loads(ask(*words.get(where, MODELS), **env).stdout)
    assert ask(*MODELS).stdout.startswith("trunk,")


def test_a_damaged_file_is_not_read_beside_another(here: Path) -> None:
    (here / "fixgrid.toml").write_text("format = ")
    (here / "other.toml").write_text("")
    ask("--config", "other.toml", *MODELS)


def test_a_command_of_a_group_reads_the_table_of_the_group_and_of_extract(here: Path) -> None:
    (here / "other.toml").write_text('[extract]\ncache = "one"\n[cache]\nformat = "json"\n')
    assert ask("cache", "ls", "--config", "other.toml").stdout == "[]\n"


def test_a_number_is_a_text_as_well(here: Path) -> None:
    (here / "fixgrid.toml").write_text("cache = 5\n")
    assert ask("cache", "ls", "--format", "json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "found no other.toml; expected a TOML file of options"),
        ("res = 224\nres = 32\ntop = 1", "other.toml is not readable TOML (Cannot overwrite a value (at line 2"),
        ("model = 1", "other.toml sets 'model', which does not exist; expected trunk."),
        ("[grid]\ntop-k = 1", "other.toml sets in [grid] 'top-k', which does not exist; expected top."),
        ("[extrct]", "other.toml has the table 'extrct', which does not exist; expected extract."),
        ("name = true", "found --name (from other.toml) True; expected a text or a number."),
        ('strict = "yes"', "found --strict (from other.toml) 'yes'; expected true or false."),
        ("train-views = 1.5", "found --train-views (from other.toml) 1.5; expected a whole number, 0 or more."),
        ('precision = "half"', "found --precision (from other.toml) half; expected fp16."),
    ],
)
def test_what_is_wrong_in_it_is_told_in_one_line(here: Path, text: str | None, said: str) -> None:
    if text is not None:
        (here / "other.toml").write_text(text)
    refused = ask("--config", "other.toml", "extract", "--data", "none/", code=2).stderr
    assert said in refused
    assert refused.count("\n") == 1
