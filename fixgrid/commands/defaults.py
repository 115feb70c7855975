"""Defaults of options from fixgrid.toml, or from the file that ``--config`` names."""

from __future__ import annotations

import os
from pathlib import Path

import click

from fixgrid.cache.errors import UsageError
from fixgrid.cache.settings import read_settings

from .console import SETTINGS, say_source
from .synonyms import suggest_option

_TABLES = {
    "plan": ("extract", "plan"),
    "cache": ("extract", "cache"),
}  # what extract would do, so as it would do it


def read_defaults(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Give a command its defaults: plain names of the file serve every command, a table [command] that one.

    Raises
    ------
    UsageError
        If the file was asked for and is not there, or as `read_settings`.
    """
    if value:
        ctx.meta[SETTINGS] = os.path.expanduser(value)
        if not os.path.exists(ctx.meta[SETTINGS]):
            raise UsageError(
                f"found no {value}; expected a TOML file of options, with lines such as res = [224, 320]."
            )
    if isinstance(ctx.command, click.Group) or ctx.resilient_parsing:
        return
    above = ctx
    while above.parent and above.parent.parent:
        above = above.parent
    tables = _TABLES.get(str(above.info_name), (str(above.info_name),))
    found = read_settings(Path(say_source(ctx)), _list_commands(ctx), _suggest)
    ctx.default_map = {name: value for table in ("", *tables) for name, value in found.get(table, {}).items()}


def _list_commands(ctx: click.Context) -> dict[str, dict[str, str]]:
    commands: dict[str, click.Command] = getattr(ctx.find_root().command, "commands", {})
    return {name: _list_options(command) for name, command in commands.items()}


def _list_options(command: click.Command) -> dict[str, str]:
    """Parameter by option, as in train-views: train_views, of every option that settings may give."""
    parts = command.commands.values() if isinstance(command, click.Group) else [command]
    return {one.opts[0].lstrip("-"): str(one.name) for part in parts for one in part.params if one.envvar}


def _suggest(name: str, known: list[str]) -> str:
    """The name that another tool's word stands for."""
    better = suggest_option(f"--{name}", [f"--{one}" for one in known], {})
    return better.removeprefix("type --") if better.startswith("type --") and " " not in better[5:] else ""
