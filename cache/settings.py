"""What fixgrid.toml says: defaults by command, every name checked against the options that there are."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .errors import UsageError

Suggest = Callable[[str, list[str]], str]
"""From an unknown name and the known ones to the one that is meant; empty if it knows none."""


def read_settings(
    path: Path, commands: Mapping[str, Mapping[str, str]], suggest: Suggest = lambda name, known: ""
) -> dict[str, dict[str, Any]]:
    """Values of the file's plain names, and those of each table, by command and parameter.

    Parameters
    ----------
    path : Path
        Need not exist. Plain names serve every command, a table ``[command]`` that one.
    commands : mapping of command to (option to parameter)
        Options as typed, without the dashes: ``{"extract": {"train-views": "train_views"}}``.
    suggest : callable
        Is asked before the nearest name is.

    Returns
    -------
    dict of command to (parameter to value)
        Under ``""`` the plain names; a list ``[224, 320]`` is the text ``224,320``.

    Raises
    ------
    UsageError
        If the file is not TOML, a name is none of the options, or a value is a table.
    """
    found = _parse_toml(path) if os.path.lexists(path) else {}
    tables = {name: value for name, value in found.items() if isinstance(value, dict)}
    plain = {name: value for name, value in found.items() if name not in tables}
    every = {option: name for options in commands.values() for option, name in options.items()}
    _expect_known(f"{path} has the table", tables, commands, lambda name, known: "")
    if alone := [name for name in plain if _dash(name) in commands and _dash(name) not in every]:
        raise UsageError(
            f"{path} sets {alone[0]!r}, which is a command; expected a table, [{alone[0]}], of options."
        )
    settings = {"": _name_parameters(f"{path} sets", plain, every, suggest)}
    for name, table in tables.items():
        settings[_dash(name)] = _name_parameters(f"{path} sets in [{name}]", table, commands[_dash(name)], suggest)
    return settings


def _parse_toml(path: Path) -> dict[str, Any]:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    if not path.is_file():
        raise UsageError(f"{path} is no regular file; expected TOML.")
    try:
        found: dict[str, Any] = toml.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UsageError(f"{path} is not readable TOML ({error}).") from error
    return found


def _name_parameters(
    what: str, table: Mapping[str, Any], options: Mapping[str, str], suggest: Suggest
) -> dict[str, Any]:
    _expect_known(what, table, options, suggest)
    return {options[_dash(name)]: _plain(f"{what} {name}", value) for name, value in table.items()}


def _expect_known(what: str, found: Collection[str], known: Collection[str], suggest: Suggest) -> None:
    for name in found:
        if _dash(name) not in known:
            meant = suggest(name, sorted(known))
            near = [meant] if meant else get_close_matches(_dash(name), known, 1) or sorted(known)
            raise UsageError(f"{what} {name!r}, which does not exist; expected {', '.join(near)}.")


def _dash(name: str) -> str:
    return name.replace("_", "-")


def _plain(what: str, value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, dict | list) for part in parts):
        raise UsageError(f"{what} to {str(value)[:80]!r}; expected one value, or a list of them.")
    return ",".join(map(str, parts)) if isinstance(value, list) else value
