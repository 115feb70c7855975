"""What a command shows on stderr: settings, notices, and how far long work is."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from typing import Any

import click

SETTINGS = "fixgrid.settings"
"""Where a context keeps the name of the file of settings."""
_LOUDNESS = "fixgrid.loudness"


def say(line: str = "", *, always: bool = False) -> None:
    """A line on stderr, not with ``--quiet``, unless it is said `always`.

    A terminal that is gone, or a full disk behind ``2>``, ends no extraction.
    """
    if always or not _is_quiet():
        with suppress(OSError):
            click.echo(line, err=True)


def _is_quiet() -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and ctx.meta.get(_LOUDNESS) == "quiet"


class _Log(logging.Handler):
    """Shows lines of the logger ``fixgrid``, each after the seconds since the program began."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        say(f"{record.relativeCreated / 1000:7.2f} s  {record.getMessage()}")


def listen(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """How much is said from now on: as ``--quiet`` or ``--verbose`` has it."""
    if not value:
        return
    ctx.meta[_LOUDNESS] = param.name
    if param.name == "verbose":
        log, handler = logging.getLogger("fixgrid"), _Log()
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        ctx.call_on_close(lambda: log.removeHandler(handler))


def say_source(ctx: click.Context) -> str:
    """The file that settings come from."""
    return str(ctx.meta.get(SETTINGS, "fixgrid.toml"))


def say_origin(ctx: click.Context, name: str) -> str:
    """Where an option's value comes from; empty for what is no option."""
    source = ctx.get_parameter_source(name)
    if source is None:
        return ""
    if source is click.core.ParameterSource.COMMANDLINE:
        return "option"
    if source is click.core.ParameterSource.ENVIRONMENT:
        return "environment"
    return say_source(ctx) if source is click.core.ParameterSource.DEFAULT_MAP else "default"


# Of settings that are not called as their option is.
_TITLES = {"train_view": "views", "preprocessing": "pixels", "labels": "classes"}


class Console:
    """The watcher of a command: a live bar on a terminal, a line every ten seconds elsewhere.

    Parameters
    ----------
    ctx : click context
        Tells where settings come from.
    """

    LINE_EVERY_S = 10.0

    def __init__(self, ctx: click.Context) -> None:
        self._ctx = ctx
        self._bar: Any = None
        self._task: Any = None
        self._began = self._said = time.monotonic()
        self._images = self._first = 0

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def settle(self, **settings: tuple[object, str]) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        titles = {name: _TITLES.get(name, name) for name in settings}
        width = max(map(len, titles.values()))
        for name, (value, why) in settings.items():
            origin = why or say_origin(self._ctx, name)
            say(f"{titles[name]:<{width}}  {value}{f' ({origin})' if origin else ''}")

    def start(self, images: int, done: int) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        self._began = self._said = time.monotonic()
        self._images, self._first = images, done
        if done:
            say(f"{done} of {images} images are cached; continuing with the rest")
        if sys.stderr.isatty() and not _is_quiet():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("extract", total=images, completed=done, rate="")
            self._bar.start()

    def advance(self, done: int) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        now = time.monotonic()
        rate = (done - self._first) / max(now - self._began, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, rate=f"{rate:.0f} images/s")
        elif now - self._said > self.LINE_EVERY_S and rate:
            self._said = now
            left = (self._images - done) / rate
            say(f"{done}/{self._images} images, {rate:.0f} images/s, {left:.0f} s left")

    def notice(self, line: str) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False)
        else:
            say(line)

    def show_hashed(self, done: int, total: int) -> None:
        """Progress of hashing files."""
        self._show_slow(f"hashed {done}/{total} files")

    def show_download(self, name: str, done: int, total: int | None) -> None:
        """Progress of a download, bytes."""
        of = f" of {total / 1e6:.0f}" if total else ""
        self._show_slow(f"{name}: {done / 1e6:.0f}{of} MB")

    def _show_slow(self, line: str) -> None:
        if time.monotonic() - self._said > self.LINE_EVERY_S:
            self._said = time.monotonic()
            say(line)
