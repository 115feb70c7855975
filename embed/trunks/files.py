"""A user's trunks that come in files: ``FILE.py:function`` and ``FILE.onnx``. Free of torch until one is read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fixgrid.cache.errors import UsageError

if TYPE_CHECKING:
    from .own import OwnTrunk

_SCRIPT = re.compile(r".*[.]py(:\w*)?", re.DOTALL)


def is_file(text: str) -> bool:
    """Whether a trunk's name is ``FILE.py:function`` or ``FILE.onnx``."""
    return is_script(text) or text.endswith(".onnx")


def is_script(text: str) -> bool:
    """Whether it is ``FILE.py:function``, whose code would be run."""
    return bool(_SCRIPT.fullmatch(text))


def split_names(text: str) -> list[str]:
    """Names of trunks, with commas between them; a file or folder that is there may have commas of its own."""
    script = _SCRIPT.fullmatch(text)
    places = (text, text.removesuffix(script[1] or "") if script else "", text.rpartition("local-dir:")[2])
    if any(place and Path(place).expanduser().exists() for place in places):
        return [text]
    return list(dict.fromkeys(part for part in re.split(r"\s*,\s*", text.strip()) if part)) or [text]


def read_trunk(text: str, weights: Path | None, notice: Callable[[str], None]) -> OwnTrunk:
    """A trunk that a file holds; Python is run, which nothing but the user's own word is a reason for.

    Parameters
    ----------
    text : str
        As typed; it is the trunk's name.
    weights : Path or None
        State dict for what a function builds.
    notice : callable
        Is told what it is made of.

    Raises
    ------
    UsageError
        If it is none of these files, or does not give a trunk.
    DataError
        If the weights, or the graph, cannot be read.
    """
    if not is_file(text):
        raise UsageError(f"found the trunk {text!r}; expected FILE.py:function or FILE.onnx.")
    if text.endswith(".onnx"):
        from .onnx_graph import read_graph
        from .own import OwnTrunk

        if weights is not None:
            raise UsageError(f"found --weights beside {text}, which holds its own; leave them out.")
        return OwnTrunk(read_graph(Path(text).expanduser()), name=text)
    from .script import run_script

    return run_script(text if ":" in text else f"{text}:", weights, notice)


def say_cure(name: str, weights: str = "") -> str:
    """What to type for a head, or features, that a user's own trunk made, whose file is no reason to run code."""
    if not is_file(name):
        return "give it as trunk=... to fixgrid.predict or fixgrid.export, in Python"
    more = f" --weights {shlex.quote(weights)}" if weights else ""
    return f"give --trunk {shlex.quote(name)}{more}, since a head's file is no reason to run what it names"
