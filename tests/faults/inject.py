"""Faults at the k-th write, fsync, rename or unlink that the cache makes."""

from __future__ import annotations

import errno
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixgrid.cache import disk

OPERATIONS = ("write", "fsync", "replace", "unlink", "mkdir")
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EACCES": errno.EACCES}


class Fault:
    """Fires at the k-th call of one operation: kills this process, or raises an error there and ever after."""

    def __init__(self, operation: str, k: int, error: int | None, *, for_good: bool = False) -> None:
        self.operation, self.left, self.error, self.for_good = operation, k, error, for_good

    def pass_by(self, operation: str) -> bool:
        """Whether the fault fires now."""
        if operation != self.operation:
            return False
        self.left -= 1
        return self.left == 0 or (self.for_good and self.left < 0)

    def fire(self) -> None:
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.error, os.strerror(self.error or 0))

    def install(self) -> None:
        """Patch this process, which is a fork."""
        for name in ("fsync", "replace"):
            setattr(os, name, self._around(name, getattr(os, name)))
        Path.unlink = self._around("unlink", Path.unlink)
        Path.mkdir = self._around("mkdir", Path.mkdir)
        disk.open = self._open

    def _around(self, operation: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if self.pass_by(operation):
                self.fire()
            return real(*args, **options)

        return call

    def _open(self, *args: Any, **options: Any) -> Any:
        fault = self

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                if fault.pass_by("write"):
                    half = memoryview(data).cast("B")
                    super().write(half[: len(half) // 2])
                    fault.fire()
                return super().write(data) or 0

        return File(*args) if "b" in args[1] and "w" in args[1] else open(*args, **options)
