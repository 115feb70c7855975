"""One small model of every family of timm's, at its own size, a smaller and a larger one, beside timm's features.

    python -m tests.families [FAMILY ...]

Weights are random, written to a file and read back by both sides. timm's own features at another size are those of
a model built for it (``img_size=``) where its size is fixed, and of the model as it is elsewhere. Ends with 1 if
features are farther than `TOLERANCE`, or anything but one line is said.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from timm.models import _registry

from fixgrid.cache.errors import DataError, UsageError
from fixgrid.embed.backends.pixels import PixelTrunk
from fixgrid.embed.backends.probe import make_probe, run_eager
from fixgrid.embed.trunks.sizes import REFUSALS, expect_sizes
from fixgrid.embed.trunks.trunk import Trunk, load_trunk
from fixgrid.embed.trunks.weights import part_tensors

TOLERANCE = 1e-4
"""Largest relative distance (L2) to timm's features."""

SMALL = ("_050", "atto", "_xxs", "_nano", "_pico", "xxtiny", "_n0", "_m0", "_s0", "_b0", "_t0", "tiny", "small")
"""Words for small models in timm's names, the smallest first."""


def list_families() -> dict[str, list[str]]:
    """Names of the models that each of timm's modules registers."""
    families: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        families[_registry._model_to_module[name]].append(name)
    return dict(sorted(families.items()))


def find_small(names: list[str]) -> str:
    """A model whose name says that it is small, or else one of a short name."""

    def rank(name: str) -> tuple[int, int, str]:
        said = next((i for i, word in enumerate(SMALL) if word in name), len(SMALL))
        return said, len(name), name

    return min(names, key=rank)


def see_theirs(name: str, file: Path, trunk: Trunk, res: int) -> NDArray[np.float32] | None:
    """timm's own features of the probe; None if timm takes no such size."""
    size = {"img_size": res} if trunk.rule and res != trunk.preprocess.native_res else {}
    try:
        module = timm.create_model(
            name, pretrained=True, num_classes=0, pretrained_cfg_overlay={"file": str(file)}, **size
        )
        with torch.inference_mode():
            features = PixelTrunk(module.eval(), trunk.preprocess)(torch.from_numpy(make_probe(res)))
    except REFUSALS:
        return None
    return features.numpy()  # type: ignore[no-any-return]


def try_family(name: str) -> Iterator[tuple[int, str]]:
    """Each size (px), and what came of it: ``equal``, ``refused``, or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="families-") as folder:
        file = Path(folder, "weights.safetensors")
        torch.manual_seed(0)
        save_file(part_tensors(timm.create_model(name).state_dict()), file)
        try:
            trunk = load_trunk(f"timm:{name}", weights=file)
        except DataError:  # timm's own buffers may hold infinities until they are calibrated
            yield 0, "weights refused"
            return
        native = trunk.preprocess.native_res
        patch = getattr(getattr(trunk.module, "patch_embed", None), "patch_size", 32)
        side = max(patch) if isinstance(patch, tuple) else patch
        step = side if 32 % side else 32
        for res in (native, *(round(share * native / step) * step for share in (0.7, 1.4))):
            try:
                expect_sizes(trunk.name, trunk.architecture, trunk.preprocess, [res])
                ours = run_eager(trunk, make_probe(res))
            except UsageError as error:
                said = "refused" if "\n" not in str(error) else "more than a line"
                yield res, said if see_theirs(name, file, trunk, res) is None else "refused, timm runs"
                continue
            theirs = see_theirs(name, file, trunk, res)
            if theirs is None:
                yield res, "timm refuses"
                continue
            distance = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
            yield res, "equal" if distance <= TOLERANCE else f"{distance:.1e} off"


def main(wanted: list[str]) -> int:
    warnings.simplefilter("ignore")
    found: Counter[str] = Counter()
    families = {family: names for family, names in list_families().items() if not wanted or family in wanted}
    for family, names in families.items():
        name = find_small(names)
        try:
            results = list(try_family(name))
        except Exception as error:  # noqa: BLE001
            results = [(0, f"{type(error).__name__}: {str(error).splitlines()[:1]}")]
        found.update(said for _, said in results)
        print(f"{family:24} {name:40}", "  ".join(f"{res} {said}" for res, said in results), flush=True)
    print(f"{len(families)} families, timm {timm.__version__}:", dict(found))
    return int(bool(found.keys() - {"equal", "refused", "weights refused"}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
