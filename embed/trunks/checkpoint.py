"""Forms of a checkpoint: which state dict of a file is the trunk's, under which prefix; fitted name for name."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Size, Tensor

from fixgrid.cache.errors import DataError

from .source import Headless
from .weights import WRAPPERS, StateDict, read_weights

INSERTED = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts of names that torch's own wrappers put before the names of what they wrap, anywhere."""
PATCHES = ("patch_embed.proj.weight", "conv_proj.weight")
"""How the names of a transformer's first convolution end; its side is the patch's."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read a checkpoint.

    Attributes
    ----------
    state : dict of str to Tensor
        By the architecture's names.
    wrapper : tuple of str
        Names under which the state dict was nested.
    prefix : str
        What was taken off the names.
    beside : int
        Names that do not begin with it, left out.
    inserted : tuple of str
        Parts of names, see `INSERTED`, that were taken out.
    """

    state: dict[str, Tensor]
    wrapper: tuple[str, ...] = ()
    prefix: str = ""
    beside: int = 0
    inserted: tuple[str, ...] = ()

    @property
    def usual(self) -> bool:
        """Whether it is what every training script means by its checkpoint."""
        parts = set(self.prefix.split(".")[:-1])
        return set(self.wrapper) <= set(WRAPPERS) and parts <= INSERTED and not self.beside

    @property
    def place(self) -> str:
        """Where in the file it is, as ``teacher/backbone.*``."""
        return "/".join((*self.wrapper, f"{self.prefix}*"))

    def describe(self) -> str:
        """What was taken off; empty if the file holds the state dict alone, by the architecture's own names."""
        found = [f"read from {'/'.join(self.wrapper)}"] if self.wrapper else []
        found += [f"names begin with the prefix {self.prefix}, taken off"] if self.prefix else []
        found += [f"names hold {' and '.join(self.inserted)}, taken out"] if self.inserted else []
        found += [f"{self.beside} names beside it left out"] if self.beside else []
        return "; ".join(found)


def load_checkpoint(built: Headless, path: Path, architecture: str) -> tuple[dict[str, Tensor], str]:
    """Copy a file's weights into a headless module, name for name.

    Prefixes of names and nesting are taken off where one reading alone then fits the architecture completely.

    Parameters
    ----------
    built : Headless
        Trunk without its classifier; what the file has of that is left out silently.
    path : Path
        See `read_weights`.
    architecture : str
        For messages.

    Returns
    -------
    state : dict of str to Tensor
        What fits, by the architecture's names, and the file's own classifier.
    note : str
        What was taken off and left out; empty if nothing was.

    Raises
    ------
    DataError
        If the file cannot be read, if no reading or several fit, or if a weight is no dense, finite tensor.
    """
    return load_states(built, read_weights(path), path, architecture)


def load_states(
    built: Headless, states: Sequence[StateDict], path: Path, architecture: str
) -> tuple[dict[str, Tensor], str]:
    """As `load_checkpoint`, of state dicts that a file was found to hold, or was converted to."""
    wanted = {name: value.shape for name, value in built.module.state_dict().items()}
    readings = [reading for state in states for reading in list_readings(state, wanted)]
    fits = [reading for reading in readings if not compare_names(reading.state, wanted, built.classifier)]
    if not fits:
        raise DataError(_say_misfit(find_nearest(readings, wanted), wanted, built.classifier, path, architecture))
    chosen, *others = _drop_equal(sorted(fits, key=lambda reading: not reading.usual), wanted)
    if others and not chosen.usual:
        raise DataError(_say_several([chosen, *others], path, architecture))
    check_tensors(path, chosen.state)
    given = {name: value for name, value in chosen.state.items() if name in wanted}
    built.module.load_state_dict(given, strict=False)
    told = [chosen.describe(), *(f"{other.place} fits as well, left out" for other in others)]
    return chosen.state, "; ".join(filter(None, told))


def list_readings(state: StateDict, wanted: Mapping[str, Size]) -> list[Reading]:
    """Ways to read one state dict: as it is, and by every prefix behind which it has a name of the architecture.

    Parameters
    ----------
    state : StateDict
    wanted : mapping of str to shape
        State dict of the architecture.
    """
    held, own = ({part for name in names for part in name.split(".")} for names in (state.tensors, wanted))
    inserted = INSERTED & held - own
    spelt: dict[tuple[str, ...], Mapping[str, Tensor]] = {(): state.tensors}
    taken = _take_out(state.tensors, inserted)
    if len(taken) == len(state.tensors):  # no two names became one
        spelt[tuple(sorted(inserted))] = taken
    return [
        replace(_read_behind(prefix, tensors, wanted), wrapper=state.wrapper, inserted=parts)
        for parts, tensors in spelt.items()
        for prefix in _list_prefixes(tensors, wanted)
    ]


def _take_out(tensors: Mapping[str, Tensor], parts: Collection[str]) -> dict[str, Tensor]:
    return {".".join(part for part in name.split(".") if part not in parts): tensors[name] for name in tensors}


def _list_prefixes(names: Collection[str], wanted: Collection[str]) -> list[str]:
    """None, what all names have in common, and what stands before a name of the architecture."""
    same = os.path.commonprefix(list(names))  # noqa: RUF071 - names are no paths
    found = ["", same[: same.rfind(".") + 1]]
    for name in names:
        places = [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]
        found += [name[:place] for place in places if name[place:] in wanted or name[place:] == LITE_STEM]
    return list(dict.fromkeys(found))


def _read_behind(prefix: str, tensors: Mapping[str, Tensor], wanted: Collection[str]) -> Reading:
    behind = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    beside = len(tensors) - len(behind)
    return Reading(rename_lite(behind, wanted) if LITE_STEM in behind else behind, prefix=prefix, beside=beside)


@dataclass(frozen=True)
class Misfit:
    """Names of a state dict and an architecture that do not go together."""

    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped)

    def __str__(self) -> str:
        found = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.reshaped))
        return "; ".join(f"{len(names)} {word} ({_some(names)})" for word, names in found if names)


def compare_names(state: Mapping[str, Tensor], wanted: Mapping[str, Size], classifier: Iterable[str]) -> Misfit:
    """How a state dict, without the modules and tensors named ``classifier``, differs from an architecture's."""
    heads = tuple(f"{name}." for name in classifier)
    # Checkpoints older than 2018 have no num_batches_tracked; inference never reads it.
    return Misfit(
        missing=[name for name in wanted if name not in state and not name.endswith("num_batches_tracked")],
        unexpected=[name for name in state if name not in wanted and not f"{name}.".startswith(heads)],
        reshaped=[name for name in wanted if name in state and wanted[name] != state[name].shape],
    )


def find_nearest(readings: Sequence[Reading], wanted: Collection[str]) -> Reading:
    """The reading with most of an architecture's names; if it has few of them, one that leaves nothing out."""

    def shares(reading: Reading) -> int:
        return sum(name in reading.state for name in wanted)

    nearest = max(readings, key=shares)
    if 2 * shares(nearest) >= len(wanted):
        return nearest
    whole = [reading for reading in readings if not reading.beside and not reading.inserted]
    return max(whole, key=lambda reading: (len(reading.state), shares(reading), len(reading.prefix)))


def _drop_equal(readings: Sequence[Reading], wanted: Collection[str]) -> list[Reading]:
    """Without those that give the same weights as one before them."""
    kept: list[Reading] = []
    for reading in readings:
        if not any(_are_equal(reading.state, other.state, wanted) for other in kept):
            kept.append(reading)
    return kept


def _are_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor], names: Collection[str]) -> bool:
    pairs = ((one[name], other[name]) for name in names if name in one and name in other)
    return all(a is b or (a.dtype == b.dtype and torch.equal(a, b)) for a, b in pairs)


def _say_several(fits: Sequence[Reading], path: Path, architecture: str) -> str:
    one, library = fits[0], ("torch", "torch.load", "torch.save")
    if path.suffix == ".safetensors":
        library = ("safetensors.torch as st", "st.load_file", "st.save_file")
    taken = "".join(f"[{json.dumps(name)}]" for name in one.wrapper)
    chosen = f"{{k: v for k, v in s.items() if k.startswith({json.dumps(one.prefix)})}}" if one.prefix else "s"
    module, load, save = library
    code = f'import {module}; s = {load}({json.dumps(str(path))}){taken}; {save}({chosen}, "one{path.suffix}")'
    return (
        f"{path} holds several trunks that fit {architecture} ({', '.join(fit.place for fit in fits)}); expected "
        f"one: save the one you mean, as in python -c {shlex.quote(code)}, and give --weights one{path.suffix}."
    )


def _say_misfit(
    nearest: Reading, wanted: Mapping[str, Size], classifier: Iterable[str], path: Path, architecture: str
) -> str:
    misfit, form = compare_names(nearest.state, wanted, classifier), nearest.describe()
    cure = _say_patches(misfit, nearest.state, wanted) or "name the trunk these weights were trained for"
    return f"{path} does not fit {architecture}{f' ({form})' if form else ''}: {misfit}: {cure}"


def _say_patches(misfit: Misfit, state: Mapping[str, Tensor], wanted: Mapping[str, Size]) -> str:
    """Which input size position embeddings of another shape were made for; empty if that is not what is wrong."""
    patch = next((shape[-1] for name, shape in wanted.items() if name.endswith(PATCHES)), 0)
    for name in misfit.reshaped:
        if "pos_embed" in name and state[name].ndim == len(wanted[name]) == 3:
            found, own = state[name].shape[1], wanted[name][1]
            prefix = own - math.isqrt(own) ** 2  # class token and registers
            here, there = math.isqrt(max(found - prefix, 0)), math.isqrt(own)
            if here**2 + prefix == found:
                return (
                    f"it was made for {here} x {here} patches ({here * patch} px), expected {there} x {there} "
                    f"({there * patch} px): name the trunk of that input size"
                )
    return ""


def check_tensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are no dense, finite tensors of floats or integers.

    Raises
    ------
    DataError
    """
    for name, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.device.type != "cpu":
            raise DataError(f"{path}: {name!r} is not a dense tensor of floats or integers")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise DataError(f"{path}: {name!r} holds NaN or infinity: the file is damaged or training diverged")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


LITE_STEM = "_conv_stem.weight"
LITE_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
LITE_EXPANDING = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip


def rename_lite(state: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """Keys of the ``efficientnet-lite-pytorch`` package, renamed to timm's.

    The package numbers its blocks through; timm numbers them within stages. The three convolutions
    and three batch norms of a block are the same, except that the first stage has no expansion.
    """
    stages = sorted({tuple(map(int, name.split(".")[1:3])) for name in wanted if name.startswith("blocks.")})
    layers = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    layers["_fc"] = "classifier"
    for number, (stage, block) in enumerate(stages):
        expands = f"_blocks.{number}._expand_conv.weight" in state
        for old, new in (LITE_EXPANDING if expands else LITE_FIRST).items():
            layers[f"_blocks.{number}.{old}"] = f"blocks.{stage}.{block}.{new}"
    renamed = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        renamed[f"{layers.get(layer, layer)}.{kind}"] = value
    return renamed
