"""``FILE.py:function``: a trunk that a user's function builds. The file is run, because it was asked for."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import linecache
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
from torch import nn

from fixgrid.cache.errors import UsageError

from .checkpoint import load_checkpoint
from .own import OwnTrunk
from .source import Headless


def run_script(text: str, weights: Path | None, notice: Callable[[str], None]) -> OwnTrunk:
    """The module that a function of a file builds, called without its classifier if it can be.

    Parameters
    ----------
    text : str
        ``FILE.py:function``; a class of modules is as good as a function.
    weights : Path or None
        State dict to load into it; keys of its classifier are left out.
    notice : callable
        Is told how the function was called.

    Raises
    ------
    UsageError
        If there is no such file or function, or it raises, or gives no module.
    DataError
        If the weights cannot be read, or do not fit the module.
    """
    place, _, name = text.rpartition(":")
    file = Path(place).expanduser()
    function = _find_function(file, name, text)
    headless = "num_classes" in _list_parameters(function)
    built = _call(text, function, **({"num_classes": 0} if headless else {}))
    own = built if isinstance(built, OwnTrunk) else OwnTrunk(built) if isinstance(built, nn.Module) else None
    if own is None:
        raise UsageError(f"{text} gives a {type(built).__name__}; expected an nn.Module or a fixgrid.OwnTrunk.")
    how = "is called with num_classes=0, so without its classifier" if headless else "is called as it is"
    whose = f"its weights are those of {weights}" if weights else "its weights are its own, without --weights FILE"
    notice(f"note: {name} of {file} {how}; {whose}")
    if weights is not None:
        classifier = tuple(_find_classifier(own.module, function))
        _, taken_off = load_checkpoint(Headless(own.module, 0, classifier), weights, text)
        if taken_off:
            notice(f"note: {weights}: {taken_off}")
    return replace(own, name=text)


def _find_function(file: Path, name: str, text: str) -> Callable[..., object]:
    if not file.is_file():
        raise UsageError(f"found no file {file}; expected one with a function that builds a trunk: {text}.")
    found = getattr(_import_file(file), name, None) if name else None
    if not callable(found):
        known = ", ".join(_list_functions(file)) or "none"
        raise UsageError(f"found no function {name!r} in {file}; expected one of: {known}.")
    return cast(Callable[..., object], found)


def _list_functions(file: Path) -> list[str]:
    body = ast.parse(file.read_bytes()).body
    return [part.name for part in body if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]


def _import_file(file: Path) -> ModuleType:
    """The file as a module under a name that no other module has; what lies beside it can be imported by it."""
    path = file.resolve()
    name = f"fixgrid_script_{hashlib.sha256(bytes(path)).hexdigest()[:12]}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"found no Python in {file}; expected a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    linecache.checkcache(str(path))  # the file may have changed since this process ran it
    sys.modules[name] = module  # where inspect looks for the source of its classes
    _call(str(file), spec.loader.exec_module, module)
    return module


def _call(what: str, function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """What a user's code gives; its random numbers are the same in every run, and no others change.

    Raises
    ------
    UsageError
        If it raises anything, or exits.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return function(*args, **kwargs)
    except (Exception, SystemExit) as error:
        reason = (str(error).splitlines() or [""])[0][:160]
        at = _find_line(error)
        said = f"{type(error).__name__}{f': {reason}' if reason else ''}"
        raise UsageError(f"{what} raised {said}{at}; expected a module: mend it and run again.") from error


def _find_line(error: BaseException) -> str:
    """Where in a user's file it was raised."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__ and "importlib" not in code.co_filename:
            found = f" (line {trace.tb_lineno} of {Path(code.co_filename).name})"
        trace = trace.tb_next
    return found


def _list_parameters(function: Callable[..., object]) -> Sequence[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _find_classifier(module: nn.Module, function: Callable[..., object]) -> list[str]:
    """Names of the parts that the module lacks and would have with a classifier."""
    found = getattr(module, "pretrained_cfg", None)
    said = found.get("classifier") if isinstance(found, dict) else None
    names = [said] if isinstance(said, str) else list(said or ())
    if not names and "num_classes" in _list_parameters(function):
        try:
            with torch.device("meta"):
                whole = function()
        except (Exception, SystemExit):  # noqa: BLE001 - then the weights are held to every key
            return []
        whole = whole.module if isinstance(whole, OwnTrunk) else whole
        more = whole.state_dict().keys() - module.state_dict().keys() if isinstance(whole, nn.Module) else ()
        names = sorted({name.rpartition(".")[0] for name in more} - {""})
    kept = module.state_dict().keys()
    return [name for name in names if not any(key.startswith(f"{name}.") for key in kept)]
