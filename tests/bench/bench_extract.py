"""How near extraction comes to the machine's limit, and how far ahead of the usual loop it is.

The limit is 1 / (t_trunk + t_decode): the fastest exact backend on pixels that lie ready, and the fastest decode
and resize of the same photographs, each measured with every core to itself, right before and right after every
extraction that is compared with it: a machine's speed drifts within a minute. Everything is measured in every
round, one after the other, and ratios are taken within a round: a busy machine slows both sides of them.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import PIL

from embed.backends import BackendSpec, prepare_backend
from embed.probe import write_weights
from embed.request import choose_views
from embed.resample import HAS_PILLOW_SIMD, RESAMPLERS
from embed.trunks import load_trunk
from embed.views import View

from .children import run_child
from .facts import describe_machine
from .limit import METHODS, Cost, average, prepare_kinds, size_trunk, time_decode, time_trunk
from .photos import lay_out, list_photos
from .report import write_report

TRUNK = "efficientnet_lite0"
LARGE_TRUNK, LARGE_PHOTOS = "resnext101_32x48d_wsl", 6  # and one each for val and test
SPARE = 200  # from which val and test take one each, of a class that train has
ONE, TWO, FIVE = (224,), (224, 320), (224, 128, 320, 380, 400)
RESAMPLED = ("tensor",) if HAS_PILLOW_SIMD else RESAMPLERS


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured: a round of the full sizes takes about six minutes on two idle cores."""

    rounds: int = 5
    seconds: float = 3.0
    one: int = 1280
    two: int = 1280
    five: int = 256
    loop_one: int = 160
    loop_five: int = 64


QUICK = Sizes(rounds=1, seconds=1.0, one=256, two=256, five=256, loop_one=64, loop_five=32)


class Limit(NamedTuple):
    """Cost per image of the trunk at a resolution, and of decoding and resizing to some."""

    trunk: dict[int, Cost]
    decode: dict[tuple[int, ...], Cost]

    def add_up(self, resolutions: tuple[int, ...]) -> Cost:
        """Cost per image of decoding once and running the trunk at every resolution."""
        parts = [self.decode[resolutions], *(self.trunk[res] for res in resolutions)]
        return Cost(sum(part.wall_s for part in parts), sum(part.cpu_s for part in parts))


@dataclass(frozen=True)
class Bench:
    """One run: photographs laid out, backends exported, the fastest of each known."""

    folder: Path
    photos: list[Path]
    sizes: Sizes
    processes: int
    views: dict[int, View]
    spec: BackendSpec
    method: str
    others: dict[str, str]

    def time_trunk(self, res: int) -> Cost:
        """Cost per image of the fastest exact backend."""
        return time_trunk(self.spec, self.photos, res, self.processes, self.sizes.seconds)

    def time_decode(self, resolutions: tuple[int, ...]) -> Cost:
        """Cost per image of the fastest decode and resize."""
        views = [self.views[res] for res in resolutions]
        photos = self.photos[: self.sizes.one]
        return time_decode(self.method, photos, views, self.processes, self.sizes.seconds)

    def extract(self, n: int, resolutions: tuple[int, ...], *options: str, watched: bool = False) -> dict[str, Any]:
        """One extraction of `n` photographs into an empty cache, in a process of its own."""
        data = self.folder / f"photos-{n}"
        if not data.is_dir():
            lay_out(self.photos, n, data)
        numbers = ",".join(map(str, resolutions))
        command = [sys.executable, "-m", "tests.bench.pipeline", str(data), "--res", numbers, *options]
        return run_child(command, watched=watched)

    def loop(self, memory: str) -> dict[str, Any]:
        """The reference loop over every resolution, in a process of its own."""
        counts = {res: self.sizes.loop_one if res in ONE else self.sizes.loop_five for res in FIVE}
        data = str(self.folder / f"photos-{self.sizes.one}" / "train")
        sizes = [f"{res}:{n}" for res, n in counts.items()]
        return run_child([sys.executable, "-m", "tests.bench.reference", data, TRUNK, memory, *sizes])

    def other(self, tool: str) -> dict[str, Any]:
        """Another tool's own way at 224, in a process of its own."""
        data = str(self.folder / f"photos-{self.sizes.five}" / "train")
        return run_child([self.others[tool], str(Path(__file__).with_name("others.py")), tool, data])

    def measure_limit(self) -> Limit:
        """Both parts of the limit, at every number of resolutions that is compared with it."""
        decode = {resolutions: self.time_decode(resolutions) for resolutions in (ONE, TWO)}
        return Limit({res: self.time_trunk(res) for res in TWO}, decode)

    def run_round(self) -> dict[str, float]:
        """Every figure once."""
        one, two, five = ({name: {} for name in RESAMPLED} for _ in range(3))
        limits = [self.measure_limit()]
        for name in RESAMPLED:
            one[name] = self.extract(self.sizes.one, ONE, "--resampler", name)
            limits.append(self.measure_limit())
            two[name] = self.extract(self.sizes.two, TWO, "--resampler", name)
            limits.append(self.measure_limit())
        loops = {memory: self.loop(memory) for memory in ("default", "tuned")}
        for name in RESAMPLED:
            five[name] = self.extract(self.sizes.five, FIVE, "--resampler", name)
        figures = {f"trunk at {res}, ms": 1e3 * median(limit.trunk[res].wall_s for limit in limits) for res in TWO}
        figures |= {
            f"decode and resize to {_join(resolutions)}, ms": 1e3
            * median(limit.decode[resolutions].wall_s for limit in limits)
            for resolutions in (ONE, TWO)
        }
        for i, name in enumerate(RESAMPLED):
            around = limits[2 * i : 2 * i + 3]
            found = _list_stages(one[name]) | _compare_limit(around, one[name], two[name])
            found |= _compare_loops(loops, one[name], five[name])
            figures |= {f"{name}: {figure}": value for figure, value in found.items()}
        for tool in self.others:
            found = self.other(tool)
            figures[f"{tool}, images/s"] = 1 / found["image_s"]
            for name in RESAMPLED:
                figures[f"{name}: ahead of {tool} at 224"] = found["image_s"] / one[name]["steady_image_s"]
        for memory, found in loops.items():
            figures[f"loop ({memory} allocator) at 224, images/s"] = 1 / found["224"]
        return figures


def _list_stages(one: dict[str, Any]) -> dict[str, float]:
    """Core-milliseconds per image of every stage at 224."""
    return {f"stage {stage} at 224, core-ms": 1e3 * s / one["images"] for stage, s in one["stages_s"].items()} | {
        "pipeline at 224, images/s": 1 / one["steady_image_s"],
        "loading and exporting, s": one["export_s"],
        "workers' start and first shard, s": one["first_shard_s"],
        "sealing, s": one["seal_s"],
    }


def _compare_limit(around: list[Limit], one: dict[str, Any], two: dict[str, Any]) -> dict[str, float]:
    """Shares of the limit, as measured before, between and after; and what 320 costs beyond its trunk."""
    figures = {}
    for resolutions, found, limits in ((ONE, one, around[:2]), (TWO, two, around[1:])):
        limit = average([limit.add_up(resolutions) for limit in limits])
        name = _join(resolutions)
        figures[f"limit at {name}, images/s"] = 1 / limit.wall_s
        figures[f"share of the limit at {name}, steady"] = limit.wall_s / found["steady_image_s"]
        figures[f"share of the limit at {name}, steady, processor time"] = limit.cpu_s / found["steady_cpu_s"]
        figures[f"share of the limit at {name}, call to seal"] = limit.wall_s * found["images"] / found["whole_s"]
    trunk = average([limit.trunk[320] for limit in around])
    extra_s = two["steady_image_s"] - one["steady_image_s"]
    extra_cpu_s = two["steady_cpu_s"] - one["steady_cpu_s"]
    figures["320 after 224, over its trunk alone"] = extra_s / trunk.wall_s - 1
    figures["320 after 224, over its trunk alone, processor time"] = extra_cpu_s / trunk.cpu_s - 1
    return figures


def _join(resolutions: tuple[int, ...]) -> str:
    return "+".join(map(str, resolutions))


def _compare_loops(loops: dict[str, dict[str, Any]], one: dict[str, Any], five: dict[str, Any]) -> dict[str, float]:
    """How many times as long the reference loop takes."""
    figures = {}
    for memory, found in loops.items():
        figures[f"ahead of the loop ({memory} allocator) at 224"] = found["224"] / one["steady_image_s"]
        all_s = sum(found[str(res)] for res in FIVE)
        figures[f"ahead of the loop ({memory} allocator) over five"] = all_s / five["steady_image_s"]
    return figures


def measure_memory(bench: Bench) -> dict[str, float]:
    """The most memory that extraction takes, at some images and at four times as many."""
    figures = {}
    for name in RESAMPLED:
        few, many = (
            bench.extract(n, ONE, "--resampler", name, watched=True)["peak_bytes"]
            for n in (bench.sizes.one // 4, bench.sizes.one)
        )
        figures[f"{name}: peak memory, GB"] = many / 1e9
        figures[f"{name}: peak memory, 4x the images over 1x"] = many / few
    return figures


def measure_large(bench: Bench) -> dict[str, float]:
    """A trunk of 826 million parameters, random weights: extraction against its trunk alone, seconds per image."""
    trunk = load_trunk(LARGE_TRUNK, random_seed=0)
    processes, threads = size_trunk(trunk)
    folder = bench.folder / "large"
    folder.mkdir()
    weights = write_weights(trunk, folder)
    spec = prepare_backend(trunk, ONE, folder=folder, threads=threads)
    del trunk
    alone_s = processes * time_trunk(spec, bench.photos, 224, processes, 10 * bench.sizes.seconds).wall_s
    options = ("--trunk", LARGE_TRUNK, "--weights", str(weights), "--resampler", RESAMPLED[0])
    found = bench.extract(LARGE_PHOTOS, ONE, *options, watched=True)
    images, stages = found["images"], found["stages_s"]
    return {
        f"{LARGE_TRUNK}, processes": processes,
        f"{LARGE_TRUNK} alone, process-s an image": alone_s,
        f"{LARGE_TRUNK} extracted, process-s an image": sum(stages.values()) / images,
        f"{LARGE_TRUNK} extracted over alone": sum(stages.values()) / images / alone_s,
        f"{LARGE_TRUNK}, {images} images from call to seal, s": found["whole_s"],
        f"{LARGE_TRUNK}, peak memory, GB": found["peak_bytes"] / 1e9,
    }


def choose_fastest(bench: Bench, specs: list[BackendSpec]) -> tuple[Bench, dict[str, float]]:
    """The bench with the fastest backend and decoder, and what each took, ms per image at 224."""
    trunks = {spec: replace(bench, spec=spec).time_trunk(224) for spec in specs}
    methods = {method: replace(bench, method=method).time_decode(ONE) for method in METHODS}
    spec = min(trunks, key=lambda spec: trunks[spec].wall_s)
    method = min(methods, key=lambda method: methods[method].wall_s)
    scan = {f"trunk by {spec.kind} at 224, ms": 1e3 * cost.wall_s for spec, cost in trunks.items()}
    scan |= {f"decode and resize by {name} to 224, ms": 1e3 * cost.wall_s for name, cost in methods.items()}
    return replace(bench, spec=spec, method=method), scan


def open_bench(
    photos: list[Path], sizes: Sizes, folder: Path, others: dict[str, str]
) -> tuple[Bench, dict[str, float]]:
    """Export the trunk and find the fastest of everything."""
    trunk = load_trunk(TRUNK)
    views = {view.res: view for view in choose_views(trunk.preprocess, ["val"], TWO, resampler=RESAMPLED[0])["val"]}
    specs = prepare_kinds(trunk, TWO, folder)
    return choose_fastest(Bench(folder, photos, sizes, size_trunk(trunk)[0], views, specs[0], "", others), specs)


def main(
    results: Path,
    *,
    data: Path | None = None,
    quick: bool = False,
    large: bool = False,
    others: dict[str, str] | None = None,
) -> None:
    """Measure, and write extract.json and extract.md."""
    machine, sizes = describe_machine(), QUICK if quick else Sizes()
    with tempfile.TemporaryDirectory(prefix="fixgrid-bench-") as scratch:
        folder = Path(scratch)
        source, photos = list_photos(data, folder)
        if len(photos) < sizes.one + SPARE:
            raise SystemExit(f"found {len(photos)} photographs in {source}; expected {sizes.one + SPARE} at least.")
        bench, scan = open_bench(photos, sizes, folder, others or {})
        scan |= measure_memory(bench)
        if large:
            scan |= measure_large(bench)
        rounds = []
        for i in range(sizes.rounds):
            rounds.append(bench.run_round())
            print(f"round {i + 1} of {sizes.rounds} done", file=sys.stderr)
    facts = {
        "machine": machine,
        "photographs": source,
        "trunk": TRUNK,
        "pillow": PIL.__version__,
        "fastest": [bench.spec.kind, bench.method],
    }
    print(write_report(results, "extract", facts, scan, rounds))
