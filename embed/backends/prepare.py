"""Which backend runs a trunk: the fastest exact one, chosen and proven, described so that a worker can open it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fixgrid.cache.errors import UsageError

from ..trunks.library import place_library
from ..trunks.sizes import expect_sizes
from ..trunks.source import is_own
from .kept import keep_graphs, recall_graphs
from .probe import check_exact, make_probe, run_eager
from .spec import BACKENDS, BackendSpec, Runtime, UnusableBackendError, import_runtime

if TYPE_CHECKING:
    from torch import nn

    from ..trunks.identity import TrunkFacts
    from ..trunks.trunk import Trunk

# OpenVINO is not in the automatic choice: 1.8x eager on lite0 where ONNX Runtime reaches 1.9-2x.
AUTOMATIC = {"cpu": "onnxruntime", "cuda": "torch"}
FALLBACKS = ("torch", "eager")
"""What is tried when the first choice fails; eager is the trunk as it was loaded, exact by definition."""

ACCELERATOR_BATCH = 64
"""Images per forward pass that fill an accelerator."""


def prepare_backend(
    trunk: Trunk,
    resolutions: Sequence[int],
    *,
    kind: str = "auto",
    folder: Path,
    device: str = "cpu",
    threads: int = 1,
    precision: str = "fp32",
    shelf: Path | None = None,
) -> BackendSpec:
    """The first backend of the wanted order that is there and reproduces the trunk, with its files written.

    Every resolution is tried on a probe batch against the trunk's own eager float32 features.

    Parameters
    ----------
    trunk : Trunk
    resolutions : sequence of int
        Sides of the inputs to come (px).
    kind : str
        ``auto`` or one of `BACKENDS`. If the kind asked for fails, one of `FALLBACKS` takes over and
        ``reason`` says why.
    folder : Path
        Where the graph or weights files go; workers must find them there.
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int
        Threads of one worker's trunk.
    precision : {"fp32", "bf16", "fp16"}
    shelf : Path, optional
        Where graphs are kept for `recall_backend`.

    Raises
    ------
    UsageError
        If the kind is unknown or its package is not installed, no kind reproduces the trunk, or the trunk does
        not take one of the resolutions.
    ValueError
        If the trunk is in train mode or wants gradients.
    """
    _expect_frozen(trunk.module)
    expect_kind(kind)
    own = trunk.module if is_own(trunk.architecture) else None
    if trunk.preprocess.fixed_size:  # others are only run
        expect_sizes(trunk.name, trunk.architecture, trunk.preprocess, resolutions, own)
    wanted = {res: run_eager(trunk, make_probe(res)) for res in resolutions}
    reasons: list[str] = []
    for candidate in list_candidates(kind, device):
        spec = draft_spec(candidate, trunk, trunk.nodes, device=device, threads=threads, precision=precision)
        runtime = import_runtime(spec.runtime)
        try:
            _expect_usable(runtime, spec)
            spec = runtime.write_files(spec, trunk, resolutions, folder)
            check_exact(spec, wanted)
            if shelf is not None and not reasons:
                keep_graphs(shelf, spec, trunk.weights_sha256, wanted)
            return replace(spec, reason="; ".join(reasons))
        except UnusableBackendError as error:
            reasons.append(f"{candidate} not used: {error}")
        finally:
            runtime.forget()  # the parent does not run the trunk: its memory is the workers'
    raise UsageError(f"no backend reproduces {trunk.name}: {'; '.join(reasons)}")


def recall_backend(
    facts: TrunkFacts,
    resolutions: Sequence[int],
    *,
    kind: str,
    folder: Path,
    shelf: Path,
    device: str,
    threads: int,
    precision: str,
) -> BackendSpec | None:
    """What `prepare_backend` would give, from what it kept; None if it has to, for the trunk must be loaded.

    Parameters
    ----------
    facts : TrunkFacts
    resolutions, kind, folder, shelf, device, threads, precision
        As `prepare_backend` takes them.

    Raises
    ------
    UsageError
        If the kind is unknown or its package is not installed.
    """
    expect_kind(kind)
    first = list_candidates(kind, device)[0]
    nodes = tuple(dict(facts.nodes))
    spec = draft_spec(first, facts, nodes, device=device, threads=threads, precision=precision)
    if find_spec(import_runtime(spec.runtime).package) is None:
        return None
    return recall_graphs(shelf, spec, facts.weights_sha256, resolutions, folder)


def draft_spec(
    kind: str, trunk: Trunk | TrunkFacts, nodes: tuple[str, ...], *, device: str, threads: int, precision: str
) -> BackendSpec:
    """A backend of one kind for a trunk, without the files that it needs."""
    return BackendSpec(
        kind=kind,
        architecture=trunk.architecture,
        preprocess=trunk.preprocess,
        graphs=(),
        weights="",
        device=device,
        threads=threads,
        precision=precision,
        batch=import_runtime(BACKENDS[kind]).batch if device == "cpu" else ACCELERATOR_BATCH,
        runtime=BACKENDS[kind],
        library=place_library(trunk.architecture),
        name=trunk.name,
        nodes=nodes,
        rule=trunk.rule,
    )


def _expect_frozen(module: nn.Module) -> None:
    training = [name or "the trunk" for name, part in module.named_modules() if part.training]
    if training or any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(f"the trunk is not frozen: call eval() and requires_grad_(False) ({training[:3]})")


def expect_kind(kind: str) -> None:
    """Refuse a kind that there is not, or whose package is not installed.

    Raises
    ------
    UsageError
    """
    if kind == "auto":
        return
    if kind not in BACKENDS:
        raise UsageError(f"found --backend {kind!r}; expected auto, {', '.join(BACKENDS)}")
    package = import_runtime(BACKENDS[kind]).package
    if find_spec(package) is None:
        raise UsageError(f"--backend {kind} needs the package {package}: pip install {package}, or --backend auto")


def list_candidates(kind: str, device: str) -> tuple[str, ...]:
    """Kinds of backend in the order in which they are tried."""
    first = AUTOMATIC[device.partition(":")[0]] if kind == "auto" else kind
    return tuple(dict.fromkeys((first, *FALLBACKS)))


def _expect_usable(runtime: Runtime, spec: BackendSpec) -> None:
    if find_spec(runtime.package) is None:
        raise UnusableBackendError(f"the package {runtime.package} is not installed")
    if spec.device.partition(":")[0] not in runtime.devices or spec.precision not in runtime.precisions:
        can = f"{', '.join(runtime.precisions)} on {', '.join(runtime.devices)}"
        raise UnusableBackendError(f"it runs {can} only, not {spec.precision} on {spec.device}")
