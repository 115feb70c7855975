"""What commands have in common: help in groups, common options first, and refusals that say what to type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from fixgrid.cache.errors import UsageError, say_command

from .console import listen, say_source
from .defaults import read_defaults
from .synonyms import join_or, suggest_command, suggest_option, suggest_value

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "What": (
        "data", "limit", "trunk", "res", "features", "train_views", "views", "split", "view", "cache", "weights",
        "name", "budget", "templates",
    ),
    "Which cells": ("pairs", "heads", "gap", "train_view", "test_view", "strengths"),
    "How they are chosen": (
        "metric", "class_weight", "prefer", "folds", "repeats", "fold_seed", "refit", "drop_duplicates", "mean_of",
        "nested", "resplit", "curve",
    ),
    "Output": (
        "to", "out", "top", "coverage", "unknown", "style", "per_class", "confused", "mistakes", "yes",
    ),
    "How images are seen": (
        "crop_ratio", "crop_mode", "interpolation", "mean", "std", "resize", "resampler", "scale", "jitter",
        "seed", "recalibrate",
    ),
    "Tables and labels": ("task", "classes", "label_col", "image_col", "split_col", "group_col", "root"),
    "This machine": (
        "device", "workers", "precision", "dtype", "backend", "engine", "ray_address", "gpus_per_worker", "part",
        "calibrate", "slurm",
    ),
    "Images and failures": ("max_bad", "strict", "skip_unknown", "follow_links", "rehash", "deep", "sample"),
    "Always": ("config", "quiet", "verbose", "version", "help"),
}  # fmt: skip
"""Options by heading, in the order in which help lists them: what is given most often first."""
_COLUMN = 24  # of help: the options' names, where they fit
_SEVERAL = ("trunk", "res", "features", "views", "pairs", "heads", "gap", "train_view", "test_view", "strengths")


class Option(click.Option):
    """An option that refuses what it cannot take in one line, which says what it takes."""

    def make_metavar(self, ctx: click.Context) -> str:
        """See `click.Parameter`."""
        return "N" if isinstance(self.type, click.types.IntParamType) else super().make_metavar(ctx)

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """See `click.Parameter`."""
        if isinstance(value, str) and self.type.name != "boolean":
            for part in value.split(",") if self.name in _SEVERAL else [value]:
                better = suggest_value(str(self.name), part.strip())
                if better and (" " in better or better in getattr(self.type, "choices", [better])):
                    raise UsageError(f"found {self._say(ctx)} {part.strip()}; expected {better}.")
        if ctx.get_parameter_source(str(self.name)) is ParameterSource.DEFAULT_MAP:
            value = self._expect_type(ctx, value)
        try:
            return super().type_cast_value(ctx, value)
        except click.MissingParameter:
            raise
        except click.BadParameter as error:
            expected = _describe_type(self.type) or error.message
            raise UsageError(f"found {self._say(ctx)} {_show(value)}; {expected}") from error

    def _expect_type(self, ctx: click.Context, value: Any) -> Any:
        """A TOML value as it would have been typed; refused if it is of a type that could not be."""
        whole, flag = isinstance(self.type, click.types.IntParamType), bool(self.is_flag)
        if isinstance(value, bool) == flag and not (whole and isinstance(value, float)):
            return value if flag or whole else str(value)
        expected = "expected a text or a number."
        raise UsageError(f"found {self._say(ctx)} {_show(value)}; {_describe_type(self.type) or expected}")

    def _say(self, ctx: click.Context) -> str:
        """The option, and where its value comes from if it was not typed."""
        source = ctx.get_parameter_source(str(self.name))
        if source in (None, ParameterSource.COMMANDLINE):
            return self.opts[0]
        return f"{self.opts[0]} (from {self.envvar if source is ParameterSource.ENVIRONMENT else say_source(ctx)})"


def _show(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)[:80]


def _describe_type(kind: click.ParamType[Any]) -> str:
    """What values are taken; empty where click's own words say what is wrong with one."""
    if isinstance(kind, click.Choice):
        return f"expected {join_or(list(map(str, kind.choices)))}."
    if isinstance(kind, click.IntRange):
        return f"expected a whole number, {kind.min} or more."
    if isinstance(kind, click.types.IntParamType):
        return "expected a whole number."
    return "expected true or false." if isinstance(kind, click.types.BoolParamType) else ""


def _declare(names: list[str], **settings: Any) -> Option:
    return Option(names, is_eager=True, expose_value=False, **settings)


ALWAYS = (
    _declare(
        ["--config"],
        type=click.Path(),
        envvar="FIXGRID_CONFIG",
        callback=read_defaults,
        help="TOML file of options. [default: ./fixgrid.toml]",
    ),
    _declare(["--quiet", "-q"], is_flag=True, callback=listen, help="Only results and errors."),
    _declare(
        ["--verbose", "-v"], is_flag=True, callback=listen, help="Also what is found in the cache, and times."
    ),
)
"""Options of every command, before it and behind it."""


class _Telling(click.Command):
    """Reads its arguments, or says in one line what to type in their place."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Those declared, and those that every command has, ``--help`` among them."""
        *declared, helping = super().get_params(ctx)
        return [*declared, *ALWAYS, helping]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.NoSuchOption as error:
            raise UsageError(_refuse_option(ctx, error.option_name, typed)) from error
        except click.MissingParameter as error:
            lacking = error.param.make_metavar(ctx) if isinstance(error.param, click.Argument) else ""
            wanted = lacking or (error.param.opts[0] if error.param else "")
            raise UsageError(f"found no {wanted.rstrip('.')}; {say_usage(ctx)}.") from error
        except click.UsageError as error:
            extra = _find_extra(ctx, typed) if type(error) is click.UsageError else ""
            raise UsageError(f"{extra or error.format_message().rstrip('.') + '; ' + say_usage(ctx)}.") from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under `HEADINGS`."""
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        named = {"help" if "--help" in one.opts else str(one.name): one for one in options}
        for heading, names in HEADINGS.items():
            records = [named[name].get_help_record(ctx) for name in names if name in named]
            if found := [(record[0].ljust(_COLUMN), record[1]) for record in records if record]:
                with formatter.section(heading):
                    formatter.write_dl(found, col_max=_COLUMN)


class Command(_Telling):
    """A command."""


class Group(_Telling, click.Group):
    """A command of commands."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are used."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group`; a word that is no command is refused with the one that it means."""
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing:
            near = suggest_command(name, self.commands, parts=ctx.parent is not None)
            better = f"type {say_command(_join(ctx, near))}" if near else say_usage(ctx)
            raise UsageError(f"found {name!r}, which is no command{_say_of(ctx)}; {better}.")
        return super().resolve_command(ctx, args)


def command(name: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """As `click.command`."""
    return click.command(name, cls=Command, **settings)


def group(name: str) -> Callable[[Callable[..., Any]], Group]:
    """As `click.group`."""
    return click.group(name, cls=Group)


def _refuse_option(ctx: click.Context, option: str, typed: Sequence[str]) -> str:
    """Why an option is not taken, and what is typed in its place, its value with it."""
    word = next((word for word in typed if word.startswith(option)), option)
    flag, equals, value = word.partition("=")
    if not equals and word in typed[:-1] and not typed[typed.index(word) + 1].startswith("-"):
        value = typed[typed.index(word) + 1]
    takes = {name: one for one in ctx.command.get_params(ctx) for name in one.opts if name[:1] == "-"}
    own = [name for name, one in takes.items() if not getattr(one, "hidden", False)]
    if isinstance(ctx.command, click.Group) and not suggest_option(flag, own, {}):
        return _refuse_early(ctx, f"{flag} {value}".rstrip())
    root = ctx.find_root().command
    others = {
        name: [option for param in one.params if not getattr(param, "hidden", False) for option in param.opts]
        for name, one in getattr(root, "commands", {}).items()
    }
    better = suggest_option(flag, own, others) or say_usage(ctx)
    if better.startswith("type ") and " " not in better[5:] and not getattr(takes[better[5:]], "is_flag", False):
        better = f"{better} {value}".rstrip()
    return f"found {flag}, which {_join(ctx) or 'fixgrid'} does not take; {better}."


def _refuse_early(ctx: click.Context, typed: str) -> str:
    """What to type for an option that stands before the command, of which it may be one."""
    commands: dict[str, click.Command] = getattr(ctx.command, "commands", {})
    flag = typed.partition(" ")[0]
    having = [name for name, one in commands.items() if any(flag in param.opts for param in one.params)]
    if not having:
        return f"found {flag}, which is no option{_say_of(ctx)}; {say_usage(ctx)}."
    return f"found {flag} before the command; type it behind: {say_command(_join(ctx, having[0]))} {typed}."


def _find_extra(ctx: click.Context, typed: Sequence[str]) -> str:
    """What to type for a word that stands where an option is expected; empty if there is none."""
    options = {name: one for one in ctx.command.get_params(ctx) for name in one.opts if name[:1] == "-"}
    before: tuple[str, str] | None = None  # the option that the last words were values of, and these
    spare = sum(one.nargs for one in ctx.command.params if isinstance(one, click.Argument))
    waiting = False
    for word in typed:
        flag = word.partition("=")[0]
        if waiting and before:
            before, waiting = (before[0], word), False
        elif flag in options:
            waiting = not getattr(options[flag], "is_flag", False) and "=" not in word
            before = None if getattr(options[flag], "is_flag", False) else (flag, word.partition("=")[2])
        elif spare > 0:
            spare -= 1
        else:
            return _refuse_word(ctx, word, before, options)
    return ""


def _refuse_word(
    ctx: click.Context, word: str, before: tuple[str, str] | None, options: Mapping[str, click.Parameter]
) -> str:
    if before and options[before[0]].name in _SEVERAL:
        return (
            f"found {word!r} behind {before[0]} {before[1]}; several go with commas: {before[0]} {before[1]},{word}"
        )
    if word == "help":
        return f"found {word!r}; type {say_command(_join(ctx, '--help'))}"
    numbers = word.replace(",", "").isdecimal()
    wanted = [name for name in (("--res", "--pairs") if numbers else ("--data", "--cache")) if name in options]
    better = f"type {wanted[0]} {word}" if wanted else say_usage(ctx)
    return f"found {word!r} without an option before it; {better}"


def say_usage(ctx: click.Context) -> str:
    """What a command takes, and where its help is."""
    pieces = [piece.removesuffix("...") for piece in ctx.command.collect_usage_pieces(ctx)]
    said = say_command(_join(ctx, *pieces)).strip()
    return f"expected {said}; see {say_command(_join(ctx, '--help'))}"


def _say_of(ctx: click.Context) -> str:
    return f" of {_join(ctx)}" if ctx.parent else ""


def _join(ctx: click.Context, *more: str) -> str:
    """A command's words, as in ``cache ls``, and more of them."""
    words, at = list(more), ctx
    while at.parent:
        words.insert(0, str(at.info_name))
        at = at.parent
    return " ".join(words)
