"""Libraries of trunks: which one a name belongs to, and what everything else asks of it. Free of torch.

A library is one file and one line of `LIBRARIES`.
"""

from __future__ import annotations

import difflib
import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from fixgrid.cache.errors import UsageError, say_command

from .source import Headless, TrunkSource, is_own
from .spelling import suggest_spelling

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = {
    "": "fixgrid.embed.trunks.fixgrid_trunks",
    "timm": "fixgrid.embed.trunks.timm_trunks",
    "torchvision": "fixgrid.embed.trunks.torchvision_trunks",
    "hf-hub": "fixgrid.embed.trunks.hub_trunks",
    "local-dir": "fixgrid.embed.trunks.hub_trunks",
    "open_clip": "fixgrid.embed.trunks.open_clip_trunks",
    "transformers": "fixgrid.embed.trunks.transformers_trunks",
}
"""Prefix of a library's names to its module (a `Library`), in the order in which bare names are looked up."""

PAGE = re.compile(r"(?:https?://[^/]+/)?(?P<org>[\w.-]+)/(?P<model>[\w.-]+(?<!\.onnx)(?:@[\w.-]+)?)/?")
"""A model's page on a hub, or what it calls the model: ``ORG/NAME[@REVISION]``."""


class Library(Protocol):
    """What a library's module has. It is imported when asked, and imports what is slow inside its functions.

    `packages`, `rule`, `use`, `build`, `fit` and `build_whole` are asked of the library that an architecture names,
    the others of the one that a trunk's name belongs to; `find` may give a trunk of another library's architecture.

    Attributes
    ----------
    packages : tuple of str
        Distributions whose versions may move a feature's last digits.
    rule : str
        Name and version of how `fit` makes weights fit another size, in the key wherever it was used; empty if it
        never does.
    use : str
        Python that opens an exported state dict, FILE, by the JSON beside it, RECORD, and makes ``answers`` (1, K),
        probabilities of ``classes``, of ``crop(read_rgb(PHOTO))``, uint8 (RES, RES, 3).
    """

    packages: tuple[str, ...]
    rule: str
    use: str

    def list_names(self) -> list[str]:
        """Its models' names, without prefixes and the weights' tags; none where only `find` can tell."""
        ...

    def find(self, model: str) -> TrunkSource:
        """What ``MODEL[.TAG]``, whose model is one of `list_names`, means; UsageError if it has no such tag."""
        ...

    def build(self, model: str) -> Headless:
        """The module without its classifier, its library's random initialisation; UsageError if it has none."""
        ...

    def fit(self, module: nn.Module, model: str, res: int) -> nn.Module:
        """`build`'s module with its weights, its positions and windows resampled for images of `res` px.

        Asked only of trunks of fixed size. Raises whatever the library does, one of `sizes.REFUSALS`, if it cannot.
        """
        ...

    def load(self, source: TrunkSource) -> Headless | Path:
        """The published weights, as a file of a state dict or in the module; UsageError if they cannot be had."""
        ...

    def locate(self, source: TrunkSource) -> Path | None:
        """The file of the published weights, if it is on this machine."""
        ...

    def build_whole(self, model: str, n_classes: int) -> nn.Module:
        """The library's own model with a classifier of K classes; ValueError or TypeError if it has none."""
        ...


class Found(NamedTuple):
    """A trunk's name, resolved and as `respell` writes it, and the library that knows its weights."""

    library: Library
    source: TrunkSource
    name: str


def open_library(prefix: str) -> Library:
    """The library whose names have a prefix.

    Raises
    ------
    UsageError
        If there is none, or it cannot be imported.
    """
    if prefix not in LIBRARIES:
        raise UsageError(f"found no library {prefix!r}; expected one of {_list_prefixes()}.")
    return import_library(LIBRARIES[prefix])


def import_library(place: str) -> Library:
    """The library in a module; workers have its place, for the table is this process' own.

    Raises
    ------
    UsageError
        If it cannot be imported.
    """
    try:
        return cast(Library, import_module(place))
    except ModuleNotFoundError as error:
        raise UsageError(
            f"found no module {error.name}, which the library {place} needs; put it on the import path, or take "
            "the library's line out of LIBRARIES."
        ) from error


def respell(name: str) -> str:
    """A trunk's name as everything else has it: one pasted from a model's page, or a folder's, written out.

    Parameters
    ----------
    name : str
        ``ORG/NAME`` and the URL of its page become ``hf-hub:ORG/NAME``, those of timm's own ``timm:NAME``; a
        folder gets its absolute path. Any other name stays as it is.
    """
    prefix, colon, model = name.partition(":")
    if page := PAGE.fullmatch(model if prefix == "timm" else name):
        org, model = page["org"], page["model"]
        return f"timm:{model}" if org == "timm" and "@" not in model else f"hf-hub:{org}/{model}"
    library, folder, path = name.rpartition("local-dir:")
    if folder:
        return f"{library}{folder}{Path(path).expanduser().resolve()}"
    if prefix == "transformers" and Path(model).expanduser().is_dir():
        return f"{prefix}:{Path(model).expanduser().resolve()}"
    return f"{prefix.replace('hf_hub', 'hf-hub')}{colon}{model}"


def resolve_trunk(name: str) -> Found:
    """What a trunk name means, and whose it is.

    Parameters
    ----------
    name : str
        ``LIBRARY:MODEL[.TAG]``, or a bare name, looked up in the order of `LIBRARIES`: ``efficientnet_lite0/1/2``
        and ``resnext101_32x48d_wsl`` first; or what `respell` makes one of these of.

    Raises
    ------
    UsageError
        If no library has it; the message lists close matches.
    """
    if better := suggest_spelling(name):
        raise UsageError(f"found the trunk {name!r}; expected {better}.")
    spelled = respell(name)
    prefix, colon, model = spelled.partition(":") if ":" in spelled else ("", "", spelled)
    for place in LIBRARIES if not prefix else {prefix} & LIBRARIES.keys():
        library = open_library(place)
        names = library.list_names()
        wanted = model.partition(".")[0] if place else model  # names without a prefix have no tags
        if wanted in names or (colon and model and not names):
            return Found(library, library.find(model), spelled)
    raise UsageError(_say_unknown(name, model))


def find_source(name: str) -> TrunkSource:
    """Architecture, weights and preprocessing that a trunk name means; see `resolve_trunk`."""
    return resolve_trunk(name).source


def _list_prefixes() -> str:
    *others, last = filter(None, LIBRARIES)
    return f"{', '.join(others)} or {last}"


def _say_unknown(name: str, model: str) -> str:
    known = {known.lower(): known for prefix in LIBRARIES for known in open_library(prefix).list_names()}
    close = difflib.get_close_matches(model.partition(".")[0].lower(), known, n=4, cutoff=0.6)
    meant = ", ".join(known[name] for name in close)
    hint = f"did you mean {meant}?" if meant else f"see `{say_command('models')}`"
    return f"no trunk named {name!r} in {_list_prefixes()}: {hint}"


def list_versions() -> list[str]:
    """Versions of the distributions, of those installed, that libraries say things about trunks by."""
    packages = dict.fromkeys(package for prefix in LIBRARIES for package in open_library(prefix).packages)
    return [found for package in packages if (found := find_version(package))]


def find_version(package: str) -> str:
    """Version of a distribution; empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def import_extra(module: str, extra: str) -> Any:
    """A module that only the trunks of an optional package need.

    Raises
    ------
    UsageError
        If it is not installed; the message says how.
    """
    try:
        return import_module(module)
    except ImportError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UsageError(
            f"found no working {extra} ({reason}), which names with {extra}: need: pip install 'fixgrid[{extra}]'."
        ) from error


def name_metadata(name: str, architecture: str) -> str:
    """Whose word a trunk's preprocessing is."""
    whose = "fixgrid" if name in open_library("").list_names() else architecture.partition(":")[0]
    return f"{whose}'s metadata of {name.rpartition(':')[2]}"


def place_library(architecture: str) -> str:
    """The module of an architecture's library, for a worker; empty if it has none here."""
    return LIBRARIES.get(architecture.partition(":")[0], "")


def find_use(architecture: str) -> str:
    """Python that opens what `embed.export.export_state` wrote; see `Library`.

    Raises
    ------
    UsageError
        If the trunk is a user's own module, under whose names no library opens a state dict.
    """
    if is_own(architecture):
        raise UsageError("found a module of one's own; expected a library's trunk: choose --to onnx or torch.")
    return open_library(architecture.partition(":")[0]).use


def build_module(architecture: str, place: str = "") -> Headless:
    """Headless module of an architecture with its library's random initialisation, in eval mode, no gradients.

    Parameters
    ----------
    architecture : str
        ``TrunkSource.architecture``.
    place : str
        `place_library` of it, if this process did not ask for it.

    Returns
    -------
    Headless
        Its module maps float32 (B, 3, R, R), normalised, to pooled features float32 (B, dim).
    """
    prefix, _, model = architecture.partition(":")
    built = (import_library(place) if place else open_library(prefix)).build(model)
    built.module.eval().requires_grad_(False)
    return built


def build_meta_module(architecture: str) -> Headless:
    """The same module without storage, on the meta device: shapes and costs only, in under a second."""
    import torch

    try:
        with torch.device("meta"):
            return build_module(architecture)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        built = build_module(architecture)
        return built._replace(module=built.module.to("meta"))
