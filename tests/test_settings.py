from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.cache.settings import read_settings

COMMANDS = {
    "extract": {"train-views": "train_views", "res": "res", "cache": "cache"},
    "fit-head": {"format": "style", "cache": "cache"},
    "cache": {"format": "style", "cache": "cache"},
}


def read(folder: Path, text: str | bytes) -> dict[str, dict[str, object]]:
    file = folder / "fixgrid.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_settings(file, COMMANDS)


def test_no_file_sets_nothing(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "fixgrid.toml", COMMANDS) == {"": {}}


def test_options_become_parameters_whatever_they_are_called(tmp_path: Path) -> None:
    text = 'format = "json"\nres = [32, 48]\n[extract]\ntrain_views = 1\n[fit_head]\nformat = "md"\n'
    assert read(tmp_path, text) == {
        "": {"style": "json", "res": "32,48"},
        "extract": {"train_views": 1},
        "fit-head": {"style": "md"},
    }


def test_an_option_that_is_called_as_a_command_is_a_value_or_its_table(tmp_path: Path) -> None:
    assert read(tmp_path, 'cache = "here"\n')[""] == {"cache": "here"}
    assert read(tmp_path, '[cache]\ncache = "there"\n')["cache"] == {"cache": "there"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train-view = 1", "sets 'train-view', which does not exist; expected train-views."),
        ("[extract]\nformat = 1", "sets in [extract] 'format'"),
        ("[extrct]", "has the table 'extrct', which does not exist; expected extract."),
        ("extract = 5", "sets 'extract', which is a command; expected a table, [extract]"),
        ("[[extract]]\nres = 1", "sets 'extract', which is a command; expected a table, [extract]"),
        ("[extract]\nres = {a = 1}", "sets in [extract] res to"),
        ("res = [[1]]", "expected one value, or a list of them"),
        ("res = 1\nres = 2", "not readable TOML"),
        ("a = " + "[" * 100_000, "not readable TOML"),
        (b"\xff", "not readable TOML"),
    ],
)
def test_what_is_no_setting_is_told_in_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["mkfifo", "mkdir", "symlink"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "fixgrid.toml"
    {"mkfifo": os.mkfifo, "mkdir": Path.mkdir, "symlink": lambda path: path.symlink_to(path)}[kind](file)
    with pytest.raises(UsageError, match="no regular file"):
        read_settings(file, COMMANDS)
