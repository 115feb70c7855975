"""Which sizes a trunk takes, and what makes the weights of one of fixed size fit another.

Transformers hold a position for every patch, or a bias for every pair of cells in a window, cut for one size. Their
libraries resample these; the weights of the key stay the published ones, and the key says by which rule.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import MAX_RES_PX, MIN_RES_PX

from .library import build_meta_module, import_library, open_library
from .preprocess import Preprocess
from .source import is_own

if TYPE_CHECKING:
    from torch import nn

OWN_RULE = "set_input_size 1"
"""How a module of the user's own is made to fit, if it is one of timm's classes that can."""

REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, AttributeError, ArithmeticError)
"""What libraries raise for a size that they do not take."""

_NO_OTHER = "it takes no other size"

_TRIED = 48  # sizes that are looked at on either side for one that fits


def find_rule(architecture: str, preprocess: Preprocess, module: nn.Module | None = None) -> str:
    """The rule by which a trunk runs at other sizes than its own; empty if it runs as it is, or not at all.

    Parameters
    ----------
    architecture : str
    preprocess : Preprocess
    module : nn.Module, optional
        A user's own.
    """
    if not preprocess.fixed_size:
        return ""
    if is_own(architecture):
        return OWN_RULE if hasattr(module, "set_input_size") else ""
    return open_library(architecture.partition(":")[0]).rule


def fit_module(module: nn.Module, architecture: str, res: int, place: str = "") -> nn.Module:
    """Another module of the same weights for images of `res` px.

    Parameters
    ----------
    module : nn.Module
        Without its classifier, at its native size.
    architecture, place : str
        As `embed.trunks.library.build_module` takes them.
    res : int
        px.

    Raises
    ------
    RuntimeError, ValueError, ...
        One of `REFUSALS`, if there is none.
    """
    import torch

    if res % (side := _find_patch(module)):
        raise ValueError(f"patches are {side} px")
    device = next(iter(module.state_dict().values())).device
    with torch.device(device):
        if is_own(architecture):
            fitted = copy.deepcopy(module)
            fitted.set_input_size(img_size=res)  # type: ignore[operator]
        else:
            prefix, _, model = architecture.partition(":")
            fitted = (import_library(place) if place else open_library(prefix)).fit(module, model, res)
    return fitted.eval().requires_grad_(False)


def _find_patch(module: nn.Module) -> int:
    """Side of a transformer's patches, px; 1 of a module that says none."""
    patch = getattr(getattr(module, "patch_embed", None), "patch_size", None)
    side = max(patch) if isinstance(patch, tuple) else patch
    return side if isinstance(side, int) else 1


def runs_elsewhere(module: nn.Module, native_res: int) -> bool:
    """Whether a module runs as it is at other sizes: some that timm calls fixed do (XCiT, CrossViT, MViTv2).

    Tried on the meta device, on a copy.
    """
    import torch

    try:
        tried = copy.deepcopy(module).to("meta").eval()
        with torch.no_grad():
            for res in (native_res + 32, 2 * native_res):
                tried(torch.empty(1, 3, res, res, device="meta"))
    except REFUSALS:
        return False
    return True


def expect_sizes(
    name: str,
    architecture: str,
    preprocess: Preprocess,
    resolutions: Iterable[int],
    module: nn.Module | None = None,
) -> None:
    """Refuse sizes that a trunk does not take; tried on the meta device, without its weights.

    Parameters
    ----------
    name : str
        Of the trunk, for the message.
    architecture : str
    preprocess : Preprocess
    resolutions : iterable of int
        px.
    module : nn.Module, optional
        A user's own, which no library can build.

    Raises
    ------
    UsageError
        Naming the first that it does not take, and the nearest two that it does.
    """
    odd = [res for res in resolutions if res != preprocess.native_res]
    if not odd:
        return
    try_size = Trial(architecture, preprocess, module)
    for res in odd:
        reason = try_size(res)
        if reason == _NO_OTHER:
            raise UsageError(_say_refusal(name, res, [preprocess.native_res], preprocess.native_res))
        if reason and not try_size(preprocess.native_res):  # else the meta device cannot tell
            near = find_near(lambda side: not try_size(side), res, preprocess.native_res, try_size.step)
            raise UsageError(_say_refusal(name, res, near, preprocess.native_res, reason))


class Trial:
    """Tries a trunk on the meta device, where tensors have only shapes; says why a size is not taken."""

    def __init__(self, architecture: str, preprocess: Preprocess, module: nn.Module | None) -> None:
        self._architecture, self._preprocess = architecture, preprocess
        self._module = copy.deepcopy(module).to("meta") if module else build_meta_module(architecture).module
        self._rule = find_rule(architecture, preprocess, self._module)
        side = _find_patch(self._module)
        self.step = side if side > 1 else 8

    def __call__(self, res: int) -> str:
        """Why not; empty if it is taken."""
        import torch

        own = res == self._preprocess.native_res
        if self._preprocess.fixed_size and not own and not self._rule:
            return _NO_OTHER
        try:
            fit = self._rule and not own
            module = fit_module(self._module, self._architecture, res) if fit else self._module
            with torch.no_grad():
                module(torch.empty(1, 3, res, res, device="meta"))
        except REFUSALS as error:
            return (str(error).splitlines() or [""])[0][:100] or type(error).__name__
        return ""


def find_near(takes: Callable[[int], bool], res: int, native_res: int, step: int) -> list[int]:
    """The nearest sizes below and above `res` that are taken, at most two; the native one is, and always counts.

    Parameters
    ----------
    takes : callable
        Whether a size is taken, px.
    res, native_res : int
        px.
    step : int
        Sizes taken are multiples of it.
    """

    def search(sides: Iterable[int]) -> int | None:
        return next((side for side in list(sides)[:_TRIED] if side == native_res or takes(side)), None)

    below = search(range(res - 1 - (res - 1) % step, MIN_RES_PX - 1, -step))
    above = search(range(res + step - res % step, MAX_RES_PX + 1, step))
    found = [side for side in (below, above) if side is not None]
    return found or [native_res]


def _say_refusal(name: str, res: int, near: list[int], native_res: int, reason: str = "") -> str:
    if near == [native_res]:
        why = f" ({reason})" if reason else ""
        cure = f"give --res {native_res}, or another trunk."
        return f"found {res} px for {name}, expected {native_res}: {_NO_OTHER}{why}; {cure}"
    sizes = " or ".join(map(str, near))
    return f"found {res} px for {name}, expected a size that it takes ({reason}); the nearest: --res {sizes}."


@contextmanager
def name_refusal(name: str, res: int) -> Iterator[None]:
    """One line where a trunk refuses images of `res` px all the same.

    Raises
    ------
    UsageError
    """
    try:
        yield
    except REFUSALS as error:
        reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise UsageError(f"{name} cannot run at {res} px ({reason}); choose other resolutions.") from error
