"""The source text of a user's class or function, wherever it was defined."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
import textwrap
from types import FunctionType

KNOWN = {"torch", "torchvision", "timm", "builtins"} | sys.stdlib_module_names
"""Packages whose source is not read: their versions are provenance."""

SCRIPT = re.compile(r"^fixgrid_script_[0-9a-f]+[.]")
"""What `embed.trunks.script` puts before the name of a user's file, which is not part of any key."""


def is_known(module: str | None) -> bool:
    """Whether a module is of a package whose source is not read."""
    return (module or "builtins").partition(".")[0] in KNOWN


def read_source(part: type | FunctionType) -> str:
    """Source text of a class or function; empty if there is none."""
    try:
        return textwrap.dedent(inspect.getsource(part))
    except (OSError, TypeError):  # inspect looks for a class in its module's file, and notebooks have none
        return textwrap.dedent(_read_cell(part)) or _read_plain(part) if isinstance(part, type) else ""


def _read_cell(kind: type) -> str:
    """Source text of a class, found by one of its functions; empty if there is none."""
    for function in filter(inspect.isfunction, vars(kind).values()):
        lines = linecache.getlines(function.__code__.co_filename)
        at = function.__code__.co_firstlineno
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__ and node.end_lineno:
                first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
                if first <= at <= node.end_lineno:
                    return "".join(lines[first - 1 : node.end_lineno])
    return ""


class _Empty:
    """What every class has."""


def _read_plain(kind: type) -> str:
    """What a class is that has no function to find it by, but numbers and texts at most; empty for another."""
    held = {word: value for word, value in vars(kind).items() if word not in vars(_Empty)}
    held.pop("__annotations__", None)
    if not all(value is None or isinstance(value, (bool, int, float, str)) for value in held.values()):
        return ""
    return f"class {kind.__qualname__}: {sorted(held.items())}"
