"""A user's own module as a trunk: what identifies it, and what it must give.

Features are found again by key, so the key must tell two modules apart whatever they differ in: layers and their
settings, the source of their classes, weights.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from types import FunctionType, MethodType

import numpy as np
import torch
from torch import Tensor, nn

from fixgrid.cache.errors import UsageError

from .identity import KnownTrunk, describe_trunk
from .preprocess import Preprocess, write_channels
from .sizes import find_rule, name_refusal
from .source import IMAGENET, OWN
from .trunk import Trunk
from .weights import fingerprint_weights

KNOWN = {"torch", "torchvision", "timm", "builtins"} | sys.stdlib_module_names
"""Packages whose source is not read: their versions are provenance."""

_HELD = {"training", "_parameters", "_buffers", "_modules"}
"""Attributes of a module that say nothing that its state dict or its parts do not."""


@dataclass(frozen=True, eq=False)
class OwnTrunk:
    """A user's own module, and what it expects of its input.

    What is not given is what timm says of the module, in ``module.pretrained_cfg``, or else the default.

    Attributes
    ----------
    module : nn.Module
        Float32 (B, 3, R, R), normalised, to float32 (B, D). It is copied, and never changed.
    name : str
        What it is called; its class' name if not given. Not part of any key.
    mean, std : three numbers
        Per channel R, G, B, for pixels scaled to 0..1; ImageNet's by default.
    interpolation : str
        Resampling of the resize; ``bilinear`` by default.
    crop_ratio : float
        Crop side over resized short side; .875 by default.
    native_res : int
        Resolution (px) that is meant where none is given; 224 by default.
    """

    module: nn.Module
    _: KW_ONLY
    name: str = ""
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    interpolation: str | None = None
    crop_ratio: float | None = None
    native_res: int | None = None

    @property
    def preprocess(self) -> Preprocess:
        """What the module expects of its input, in the words of keys.

        Raises
        ------
        UsageError
            If mean or std are not three numbers, or another value is none that it can be.
        """
        found = getattr(self.module, "pretrained_cfg", None)
        said: Mapping[str, object] = found if isinstance(found, Mapping) else {}
        sides = said.get("input_size")
        native = sides[-1] if isinstance(sides, Sequence) and sides else 224

        def choose(given: object, word: str, default: object) -> object:
            return given if given is not None else said.get(word) or default

        ratio = str(choose(self.crop_ratio, "crop_pct", "0.875"))
        res = self.native_res if self.native_res is not None else native
        if not (isinstance(res, int) and res > 0 and _is_number(ratio) and 0 < float(ratio) <= 1):
            raise UsageError(f"found native_res {res} and crop_ratio {ratio}; expected whole px, and a share.")
        return Preprocess(
            mean=_read_channels("mean", choose(self.mean, "mean", IMAGENET[0])),
            std=_read_channels("std", choose(self.std, "std", IMAGENET[1])),
            interpolation=str(choose(self.interpolation, "interpolation", "bilinear")),
            crop_ratio=ratio,
            native_res=res,
            fixed_size=bool(said.get("fixed_input_size")),
        )


def _read_channels(word: str, values: object) -> tuple[str, str, str]:
    texts = [str(value) for value in values] if isinstance(values, Sequence) else []
    if len(texts) != 3 or not all(map(_is_number, texts)) or (word == "std" and not all(map(float, texts))):
        raise UsageError(f"found {word} {values!r}; expected three numbers, for R, G and B in 0..1.")
    return write_channels(texts)


def _is_number(text: str) -> bool:
    try:
        return float("-inf") < float(text) < float("inf")
    except ValueError:
        return False


def identify_own(own: OwnTrunk) -> KnownTrunk:
    """What a user's module is as a trunk, and how to load it: the copy that was made now, frozen, on the CPU.

    Raises
    ------
    UsageError
        If it cannot be copied, frozen or run, or does not give float32 (B, D), or the source of its classes cannot
        be read.
    """
    name, preprocess = own.name or type(own.module).__name__, own.preprocess
    try:
        module = copy.deepcopy(own.module).cpu().eval().requires_grad_(False)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise UsageError(f"{name} cannot be copied and frozen ({reason}); expected a plain nn.Module.") from error
    digest = hashlib.sha256("\n".join(_Reader(name).describe_module(module)).encode()).hexdigest()[:16]
    architecture = f"{OWN}{type(module).__qualname__}@{digest}"
    trunk = Trunk(
        name=name,
        architecture=architecture,
        module=module,
        preprocess=preprocess,
        dim=_count_features(name, module, preprocess.native_res),
        weights_sha256=fingerprint_weights(module.state_dict()),
        imagenet_labels=False,
        rule=find_rule(architecture, preprocess, module),
    )
    return KnownTrunk(describe_trunk(trunk), lambda: trunk)


def _count_features(name: str, module: nn.Module, res: int) -> int:
    """D, seen on two images of noise, which nothing but a batch of two features may come of."""
    pixels = torch.randn(2, 3, res, res, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), name_refusal(name, res):
        found: object = module(pixels)
    if not isinstance(found, Tensor):
        raise UsageError(f"{name} gives a {type(found).__name__}; expected a float32 tensor of shape (B, D).")
    if found.dtype != torch.float32 or found.ndim != 2 or len(found) != 2:
        kind = str(found.dtype).removeprefix("torch.")
        raise UsageError(
            f"{name} gives {kind} of shape {tuple(found.shape)} for 2 images; expected float32 of shape (2, D): "
            "pool its feature maps."
        )
    return found.shape[1]


class _Reader:
    """Says what a module is made of, weights apart, in words that are the same in every process.

    Parameters
    ----------
    name : str
        Of the trunk, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._seen: set[int] = set()

    def describe_module(self, module: nn.Module) -> Iterator[str]:
        """Lines that two modules with other features differ in: layers, settings, source."""
        yield repr(module)
        parts = dict(module.named_modules())
        for kind in dict.fromkeys(kind for part in parts.values() for kind in type(part).__mro__):
            if not _is_known(kind.__module__):
                yield _expect_source(self.name, kind)
        for place, part in parts.items():
            if isinstance(code := getattr(part, "code", None), str):  # of a traced module
                yield f"{place} {code}"
            for lost in sorted(part._non_persistent_buffers_set):
                yield f"{place}.{lost} {self.describe(part._buffers[lost])}"
            if not type(part).__module__.startswith("torch."):  # torch's own say all in their representation
                yield f"{place} {self.describe({w: v for w, v in vars(part).items() if w not in _HELD})}"

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
            known = f"{value.__module__}.{value.__qualname__}"
            return known if _is_known(value.__module__) else f"{known} {_read_source(value)}"
        kind = type(value)
        if _is_known(kind.__module__):
            return f"{kind.__module__}.{getattr(value, '__qualname__', kind.__qualname__)}"
        return f"{kind.__qualname__} {_read_source(kind)} {self.describe(getattr(value, '__dict__', None))}"


def _is_known(module: str | None) -> bool:
    return (module or "builtins").partition(".")[0] in KNOWN


def _expect_source(name: str, kind: type) -> str:
    """Source text of a class.

    Raises
    ------
    UsageError
        If there is none: it was defined in a string, or at a prompt.
    """
    text = _read_source(kind)
    if not text:
        raise UsageError(
            f"found no source of {kind.__qualname__}, which {name} is made of, so no key can tell it from another "
            "of that name; define the class in a file or a notebook cell."
        )
    return text


def _read_source(part: type | FunctionType) -> str:
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
