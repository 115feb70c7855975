"""A record of every run that computes, beside the cache: what was asked, by which versions, what came of it."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from . import __version__
from .cache.address import find_folder
from .cache.disk import commit_bytes
from .cache.errors import DiskError, FixgridError
from .cache.text import first_line

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

_LOG = logging.getLogger("fixgrid")

RUNS = "runs"
"""Folder of the records, in the cache's."""
PACKAGES = ("numpy", "h5py", "pillow", "torch", "torchvision", "timm", "onnxruntime", "scikit-learn", "safetensors")
_MARKS = "v1", "hashes", "trunks"  # of what is in a cache, and hardly in a folder that was taken for one
_LONGEST = 100  # values of an option, and characters of what has no JSON of its own
_UNTOLD = ("watcher", "on_cell")


def records(
    summarise: Callable[[Answer], Mapping[str, Any]],
) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Answer]]:
    """Have each call of a function leave a record, whether it ends well or not.

    ``<cache>/runs/<UTC time>-<command>-<4 hex>.json``: command, options, versions, when it began, seconds, ``ok``
    or the line of the error, and results. A cache that is not there, or cannot be written, costs the record alone.

    Parameters
    ----------
    summarise : callable
        From what the function returns to the results, as JSON values, a few lines.
    """

    def decorate(answer: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        command = answer.__name__.replace("_", "-")

        @functools.wraps(answer)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            options = list_options(inspect.signature(answer), args, kwargs)
            began, clock = time.time(), time.monotonic()
            said, results = "ok", dict[str, Any]()
            try:
                found = answer(*args, **kwargs)
                with suppress(Exception):  # the answer is there, whatever can be said of it
                    results = dict(summarise(found))
                return found
            except BaseException as error:
                said = _say_end(error)
                raise
            finally:
                seconds = time.monotonic() - clock
                _LOG.info("%s: %s, %.2f s", command, said, seconds)
                facts = {
                    "command": command,
                    "options": options,
                    "versions": list_versions(),
                    "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
                    "seconds": round(seconds, 3),
                    "exit": said,
                    "results": results,
                }
                _keep(find_folder(str(options.get("cache", "features"))), facts, began)

        return run

    return decorate


def list_options(wanted: inspect.Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    """A call's arguments by name, defaults included, as JSON values; those of a request are its fields."""
    bound = wanted.bind(*args, **kwargs)
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if is_dataclass(value) and name == "request":
            found |= {field.name: getattr(value, field.name) for field in fields(value)}
        else:
            found[name] = value
    return {name: to_json(value) for name, value in found.items() if name not in _UNTOLD}


def to_json(value: object) -> Any:
    """A value as JSON has it: long lists by their beginning, what JSON does not have by its text or class."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path | bytes):
        return str(value) if isinstance(value, Path) else value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(key): to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        more = [f"and {len(value) - _LONGEST} more"] if len(value) > _LONGEST else []
        return [*map(to_json, value[:_LONGEST]), *more]
    return type(value).__qualname__


def list_versions() -> dict[str, str]:
    """Of fixgrid, Python and the libraries that are installed; none is imported."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"fixgrid": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _say_end(error: BaseException) -> str:
    line = first_line(error, 1000)
    return line if isinstance(error, FixgridError) else f"{type(error).__name__}: {line}"


def _keep(cache: Path, facts: Mapping[str, Any], began: float) -> None:
    if any((cache / name).is_dir() for name in _MARKS):
        when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(began))
        file = cache / RUNS / f"{when}-{facts['command']}-{secrets.token_hex(2)}.json"
        with suppress(DiskError, OSError, ValueError, TypeError):
            commit_bytes(file, (json.dumps(facts, indent=2) + "\n").encode("ascii"))
