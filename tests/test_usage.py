"""What every command says of itself, and of what it cannot read, in this very process."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fixgrid import cli
from fixgrid.commands.usage import HEADINGS


def refuse(*words: str, **env: str) -> str:
    """The one line with which words are refused."""
    done = CliRunner().invoke(cli.main, words, env=env)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("Error: ").rstrip()


def list_commands(group: click.Group = cli.main) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        nested = list_commands(command) if isinstance(command, click.Group) else []
        found += [(name,), *((name, *more) for more in nested)]
    return found


@pytest.mark.parametrize("words", [(), *list_commands()], ids=" ".join)
def test_help_fits_80_columns_and_lists_every_option_once(words: tuple[str, ...]) -> None:
    lines = CliRunner().invoke(cli.main, [*words, "--help"]).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and "Usage" not in line]
    command: click.Command = cli.main
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    first = min(lines.index(f"{heading}:") for heading in HEADINGS if f"{heading}:" in lines)
    shown = [word for line in lines[first:] if line[:3] == "  -" for word in line.split()[:2] if word[:2] == "--"]
    expected = [param.opts[0] for param in command.params if isinstance(param, click.Option) and not param.hidden]
    assert sorted(shown) == sorted([*expected, "--config", "--quiet", "--verbose", "--help"])


def test_every_option_has_one_heading() -> None:
    names = [name for under in HEADINGS.values() for name in under]
    assert len(names) == len(set(names))


def test_what_is_typed_most_comes_first() -> None:
    said = CliRunner().invoke(cli.main, ["extract", "--help"]).stdout
    places = [said.index(f"  {option} ") for option in ("--data", "--trunk", "--res", "--crop-ratio", "--device")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("extract --model resnet18", "found --model, which extract does not take; type --trunk resnet18."),
        ("extract --model=resnet18", "found --model, which extract does not take; type --trunk resnet18."),
        ("extract --fp16 --res 32", "type --precision fp16."),
        ("grid --nestd --folds 5", "found --nestd, which grid does not take; type --nested."),
        ("extract photos/", "found 'photos/' without an option before it; type --data photos/."),
        ("extract --strict photos/", "type --data photos/."),
        ("extract 224,320", "type --res 224,320."),
        ("extract --res 224 320", "found '320' behind --res 224; several go with commas: --res 224,320."),
        ("cache ls features", "type --cache features."),
        ("evaluate head", "found no DATA; expected"),
        ("evaluate head photos --data other", "found DATA twice, 'photos' and --data 'other'; expected one"),
        ("predict", "found no HEAD; expected"),
        ("predict head", "found no IMAGES; expected"),
        ("extract --res", "Option '--res' requires an argument; expected"),
        ("extract --train-views many", "found --train-views 'many'; expected a whole number, 0 or more."),
        ("extract --resize none", "found --resize 'none'; expected short-side or height."),
        ("extract --precision half", "found --precision half; expected fp16."),
        ("extract --split valid", "found --split 'valid'; expected official or 2020."),
        ("grid --heads ridge,svm", "found --heads svm; expected ridge or logistic."),
        ("grid --format yaml", "found --format yaml; expected json."),
        ("--data photos", "found --data before the command; type it behind: "),
        ("-c other.toml models", "which fixgrid does not take; type --config other.toml."),
        ("--zzz", "found --zzz, which is no option; expected"),
        ("grd", "found 'grd', which is no command; type "),
        ("cache lst", "found 'lst', which is no command of cache; type "),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_type(words: str, said: str) -> None:
    assert said in refuse(*words.split())


def test_a_value_from_elsewhere_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--precision (from FIXGRID_PRECISION) half" in refuse("extract", FIXGRID_PRECISION="half")
    Path("fixgrid.toml").write_text('train-views = "many"\n')
    assert "--train-views (from fixgrid.toml) 'many'; expected a whole" in refuse("extract")


def test_choices_are_taken_in_upper_case() -> None:
    assert CliRunner().invoke(cli.main, ["models", "efficientnet_lite0", "--format", "JSON"]).stdout[0] == "["
