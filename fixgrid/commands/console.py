"""What a command shows on stderr: settings, notices, and how far long work is."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from .pace import Pace

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


def _is_terminal() -> bool:
    """Whether somebody looks at stderr, which the caller may have closed."""
    return sys.stderr is not None and sys.stderr.isatty()


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
    """The watcher of a command: a status line on a terminal, a line every ten seconds elsewhere; see `Pace`.

    It is shown from a thread of its own, so that work which does not return for long is seen as well. Used as a
    context: what is under way is shown no more when it ends, and results may be printed.

    Parameters
    ----------
    ctx : click context
        Tells where settings come from.
    """

    _LOOK_EVERY_S = 0.1

    def __init__(self, ctx: click.Context) -> None:
        self._ctx, self._quiet = ctx, _is_quiet()
        self._pace = Pace(time.monotonic())
        self._bar: Any = None
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> Console:
        if not self._quiet:
            if _is_terminal():  # not by the thread, which would wait while torch is imported
                import_module("rich.progress")
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _show(self) -> None:
        """Until the context ends, what is under way."""
        live = _is_terminal()
        while not self._ended.wait(self._LOOK_EVERY_S):
            now = time.monotonic()
            with self._lock:
                line, due = self._pace.say(now), self._pace.is_due(now)
                if due and not live:
                    self._pace.note_said(now)
            if not live and due:
                say(line)
            elif live and (due or self._bar):
                with suppress(OSError):  # see `say`
                    self._draw(line)
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()

    def _draw(self, line: str) -> None:
        """The status line anew; a bar beside it where it is known how much there is to do."""
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = BarColumn(20), TextColumn("{task.fields[line]}", markup=False)
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
            self._bar.add_task("", total=None, line=line)
            self._bar.start()
        share = self._pace.share if self._pace.total else None
        (task,) = self._bar.task_ids
        self._bar.update(task, total=None if share is None else 1.0, completed=share or 0.0, line=line)
        self._bar.refresh()

    def _say(self, line: str) -> None:
        with self._lock:
            self._pace.note_said(time.monotonic())
        say(line)

    def settle(self, **settings: tuple[object, str]) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        titles = {name: _TITLES.get(name, name) for name in settings}
        width = max(map(len, titles.values()))
        for name, (value, why) in settings.items():
            origin = why or say_origin(self._ctx, name)
            self._say(f"{titles[name]:<{width}}  {value}{f' ({origin})' if origin else ''}")

    def start(self, images: int, done: int, expected_s: float | None = None) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        if done:
            self._say(f"{done} of {images} images are cached; continuing with the rest")
        with self._lock:
            self._pace.begin(time.monotonic(), "extracting", done, images, "images", expected_s)

    def advance(self, done: int, share: float | None = None) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        with self._lock:
            self._pace.go_on(done, share)

    def phase(self, name: str, done: int = 0, total: int = 0, units: str = "") -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        with self._lock:
            if (name, total) == (self._pace.name, self._pace.total):
                self._pace.go_on(done)
            else:
                self._pace.begin(time.monotonic(), name, done, total, units)

    def notice(self, line: str) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        self._say(line)

    def show_hashed(self, done: int, total: int) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        self.phase("hashing files", done, total, "files")

    def show_listed(self, done: int, total: int) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        self.phase("listing", done, total, "containers")

    def show_download(self, name: str, done: int, total: int | None) -> None:
        """See `fixgrid.embed.watcher.Watcher`."""
        self.phase(f"downloading {name}", done // 10**6, (total or 0) // 10**6, "MB")
