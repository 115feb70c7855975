"""Whoever shows a run to the user."""

from __future__ import annotations

import logging
from typing import Protocol

_LOG = logging.getLogger("fixgrid")


class Watcher(Protocol):
    """What a run says of itself while it lasts."""

    def settle(self, **settings: tuple[object, str]) -> None:
        """What options were resolved to, and why if the user did not give them (else empty)."""

    def start(self, images: int, done: int, expected_s: float | None = None) -> None:
        """Extraction begins: `images` rows in all, `done` already cached; what it should take by earlier runs."""

    def advance(self, done: int, share: float | None = None) -> None:
        """`done` rows are now cached or under way; their share (0 to 1) of all work, where it is known."""

    def phase(self, name: str, done: int = 0, total: int = 0, units: str = "") -> None:
        """See `fixgrid.cache.phase.Phase`."""

    def notice(self, line: str) -> None:
        """Something the user should know; the run goes on."""

    def show_hashed(self, done: int, total: int) -> None:
        """Files hashed, of all."""

    def show_listed(self, done: int, total: int) -> None:
        """Containers of images listed, of all."""

    def show_download(self, name: str, done: int, total: int | None) -> None:
        """Bytes of a download, of all if that is known."""


class Quiet:
    """Passes on what the user should know to Python's logging, under the name ``fixgrid``, and prints nothing.

    Warnings are warnings there; all else is information, which nobody sees who did not ask for it.
    """

    def settle(self, **settings: tuple[object, str]) -> None:
        """See `Watcher`."""
        for name, (value, why) in settings.items():
            _LOG.info("%s %s%s", name, value, f" ({why})" if why else "")

    def start(self, images: int, done: int, expected_s: float | None = None) -> None:
        """See `Watcher`."""
        _LOG.info("%d of %d images are cached", done, images)

    def advance(self, done: int, share: float | None = None) -> None:
        """See `Watcher`."""

    def phase(self, name: str, done: int = 0, total: int = 0, units: str = "") -> None:
        """See `Watcher`."""

    def notice(self, line: str) -> None:
        """See `Watcher`."""
        _LOG.log(logging.INFO if line.startswith("note: ") else logging.WARNING, "%s", line)

    def show_hashed(self, done: int, total: int) -> None:
        """See `Watcher`."""

    def show_listed(self, done: int, total: int) -> None:
        """See `Watcher`."""

    def show_download(self, name: str, done: int, total: int | None) -> None:
        """See `Watcher`."""
