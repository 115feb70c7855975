"""What a user's module is made of, weights apart, in words that are the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from fixgrid.cache.errors import UsageError

from .references import is_installed, list_references
from .source_text import SCRIPT, is_known, read_source
from .weights import fingerprint_weights

_HELD = {"training", "_parameters", "_buffers", "_modules"}
"""Attributes of a module that say nothing that its state dict or its parts do not."""


class Describer:
    """Says what a module is made of, weights apart, in words that are the same in every process.

    Parameters
    ----------
    name : str
        Of the trunk, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._seen: set[int] = set()
        self._code: dict[int, type | FunctionType] = {}

    def describe_module(self, module: nn.Module) -> Iterator[str]:
        """Lines that two modules with other features differ in: layers, settings, source, what that refers to."""
        yield repr(module)
        parts = dict(module.named_modules())
        for kind in dict.fromkeys(kind for part in parts.values() for kind in type(part).__mro__):
            if not is_known(kind.__module__):
                yield _expect_source(self.name, kind)
                self._code[id(kind)] = kind
        for place, part in parts.items():
            if isinstance(code := getattr(part, "code", None), str):  # of a traced module
                yield f"{place} {code}"
            for lost in sorted(part._non_persistent_buffers_set):
                yield f"{place}.{lost} {self.describe(part._buffers[lost])}"
            if not type(part).__module__.startswith("torch."):  # torch's own say all in their representation
                yield f"{place} {self.describe({w: v for w, v in vars(part).items() if w not in _HELD})}"
        yield from self._follow()

    def _follow(self) -> Iterator[str]:
        """Lines of what the user's code met so far refers to, and what that refers to in turn; none if nothing."""
        parts = {id(kind) for kind in self._code.values() if isinstance(kind, type)}  # their source is told
        told: set[tuple[int, str]] = set()
        done: set[int] = set()
        while waiting := [part for key, part in self._code.items() if key not in done]:
            for part in waiting:
                done.add(id(part))
                for name, value in list_references(part):
                    plain = id(value) in parts and name.endswith(str(getattr(value, "__name__", None)))
                    if not plain and (id(value), name) not in told:
                        told.add((id(value), name))
                        yield f"{name} = {self.describe(value)}"

    def describe(self, value: object) -> str:
        """One setting."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, torch.dtype, torch.device)):
            return repr(value)
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if isinstance(value, Tensor):
            return fingerprint_weights({"": value})
        if isinstance(value, nn.Module):  # held in a list, say, so that its weights are not the trunk's
            return f"{value!r} {fingerprint_weights(value.state_dict())}"
        if id(value) in self._seen:
            return "again"
        self._seen.add(id(value))
        try:
            return self._describe_compound(value)
        finally:
            self._seen.remove(id(value))

    def _describe_compound(self, value: object) -> str:
        if isinstance(value, Mapping):
            return "{" + ", ".join(sorted(f"{word!r}: {self.describe(item)}" for word, item in value.items())) + "}"
        if isinstance(value, (list, tuple)):
            return "(" + ", ".join(map(self.describe, value)) + ")"
        if isinstance(value, (set, frozenset)):
            return "{" + ", ".join(sorted(map(self.describe, value))) + "}"
        if isinstance(value, partial):
            return self.describe((value.func, value.args, value.keywords))
        if isinstance(value, MethodType):
            return self.describe(value.__func__)
        if isinstance(value, (type, FunctionType)):
            known = f"{SCRIPT.sub('', value.__module__)}.{value.__qualname__}"
            if is_known(value.__module__):
                return known
            self._code[id(value)] = value
            return f"{known} {read_source(value)}"
        if isinstance(value, ModuleType):  # of the user's, and used otherwise than by attribute
            return _digest_file(value)
        kind = type(value)
        if is_known(kind.__module__):
            return f"{kind.__module__}.{getattr(value, '__qualname__', kind.__qualname__)}"
        self._code[id(kind)] = kind
        return f"{kind.__qualname__} {read_source(kind)} {self.describe(getattr(value, '__dict__', None))}"


def _digest_file(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    if is_installed(module.__name__) or not file:
        return module.__name__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _expect_source(name: str, kind: type) -> str:
    """Source text of a class.

    Raises
    ------
    UsageError
        If there is none: it was defined in a string, or at a prompt.
    """
    text = read_source(kind)
    if not text:
        raise UsageError(
            f"found no source of {kind.__qualname__}, which {name} is made of, so no key can tell it from another "
            "of that name; define the class in a file or a notebook cell."
        )
    return text
