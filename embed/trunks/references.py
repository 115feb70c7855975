"""What code refers to outside itself: names at the level of its file, and values that its functions close over.

A key that holds the source of a class alone would not see a function beside it, or a constant, change.
"""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from .source_text import is_known, read_source

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of code that is known by its version, as torch is."""

_READS = {"LOAD_GLOBAL", "LOAD_NAME"}
_FOLLOWS = {"LOAD_ATTR", "LOAD_METHOD"}


def is_installed(module: str | None) -> bool:
    """Whether a module is fixgrid's, the standard library's or an installed distribution's."""
    name = module or "builtins"
    if name == "__main__" or is_known(name) or name.partition(".")[0] == "fixgrid":
        return name != "__main__"  # whatever started it, what is defined there is the user's
    file = getattr(sys.modules.get(name), "__file__", None)
    return bool(file and INSTALLED & set(Path(file).parts))


def list_references(part: type | FunctionType) -> Iterator[tuple[str, object]]:
    """Names that a user's class or function refers to outside itself, sorted, and what they mean now.

    What is installed is left out, and so is what a name does not mean yet. A module of the user's is followed by
    attribute, as in ``layers.pool``; one that is used otherwise is given as it is.
    """
    found: dict[str, object] = {}
    for function in _list_functions(part):
        chains = [*_read_code(function.__code__), *_read_defaults(function)]
        found.update(_resolve_all(chains, function.__globals__))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__" and _is_set(cell):
                found[name] = cell.cell_contents
    if isinstance(part, type):
        found.update(_resolve_all(_read_body(part), _list_globals(part)))
    yield from sorted((item for item in found.items() if not _is_theirs(item[1])), key=lambda item: item[0])


def _list_functions(part: type | FunctionType) -> Iterator[FunctionType]:
    """A function, or those of a class, those behind properties and the like included."""
    if isinstance(part, FunctionType):
        yield part
        return
    for value in vars(part).values():
        if isinstance(value, property):
            behind: tuple[Any, ...] = value.fget, value.fset, value.fdel
        elif isinstance(value, cached_property):
            behind = (value.func,)
        else:
            behind = (getattr(value, "__func__", value),)
        for function in behind:
            while isinstance(function, FunctionType):
                yield function
                function = getattr(function, "__wrapped__", None)


def _read_code(code: CodeType) -> Iterator[tuple[str, ...]]:
    """Every global name that is read, with the attributes taken of it."""
    chain: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if chain and step.opname in _FOLLOWS:
            chain = *chain, str(step.argval)
            continue
        if chain:
            yield chain
        chain = (str(step.argval),) if step.opname in _READS else ()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _read_code(constant)


def _read_defaults(function: FunctionType) -> Iterator[tuple[str, ...]]:
    """Names in default values: they were looked up when the function was defined, not in its code."""
    if function.__defaults__ or function.__kwdefaults__:
        for node in ast.walk(_parse(function)):
            if isinstance(node, ast.arguments):
                for default in (*node.defaults, *node.kw_defaults):
                    yield from _read_names(default)


def _read_body(kind: type) -> Iterator[tuple[str, ...]]:
    """Names in the statements of a class and in its decorators, those of its functions included."""
    for node in ast.walk(_parse(kind)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for mark in node.decorator_list:
                yield from _read_names(mark)
        for line in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(line, ast.Assign | ast.AnnAssign):
                yield from _read_names(line.value)


def _read_names(node: ast.AST | None) -> Iterator[tuple[str, ...]]:
    for part in ast.walk(node) if node else ():
        names: list[str] = []
        while isinstance(part, ast.Attribute):
            names.insert(0, part.attr)
            part = part.value
        if isinstance(part, ast.Name):
            yield part.id, *names


def _parse(part: type | FunctionType) -> ast.AST:
    try:
        return ast.parse(read_source(part))
    except SyntaxError:  # not all of a statement, as of a lambda
        return ast.Module([], [])


def _resolve_all(chains: Iterable[tuple[str, ...]], names: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for first, *attributes in chains:
        if first not in names:
            continue
        said, value = first, names[first]
        for attribute in attributes:
            if not isinstance(value, ModuleType) or is_installed(value.__name__) or not hasattr(value, attribute):
                break
            said, value = f"{said}.{attribute}", getattr(value, attribute)
        found[said] = value
    return found


def _list_globals(kind: type) -> dict[str, Any]:
    module = sys.modules.get(kind.__module__)
    return vars(module) if module else {}


def _is_theirs(value: object) -> bool:
    """Whether a value is a module, class or function that is installed."""
    if isinstance(value, ModuleType):
        return is_installed(value.__name__)
    module = getattr(value, "__module__", None)
    return hasattr(value, "__name__") and is_installed(module if isinstance(module, str) else None)


def _is_set(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # not assigned yet
        return False
