"""How near extraction comes to the machine's limit, and how far ahead of the usual loop it is.

The limit is 1 / (t_trunk + t_decode): the fastest exact backend on pixels that lie ready, and the fastest decode
and resize of the same photographs, each measured with every core to itself. It takes turns with the extraction
that is compared with it, which is stopped meanwhile: a machine's speed drifts within seconds, by more than the
difference. Everything is measured in every round, one after the other, and ratios are taken within a round: a busy
machine slows both sides of them.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL

from fixgrid.cache.view import RESAMPLERS, View
from fixgrid.embed.backends.graphs import write_weights
from fixgrid.embed.backends.prepare import prepare_backend
from fixgrid.embed.backends.spec import BackendSpec
from fixgrid.embed.request import Wanted, choose_views
from fixgrid.embed.resample import HAS_PILLOW_SIMD
from fixgrid.embed.trunks.trunk import load_trunk

from .children import measure_active, run_child, run_in_turns
from .facts import count_cores, describe_machine
from .limit import METHODS, Cost, Parts, Yardstick, average, open_decoder, open_trunk, prepare_kinds, size_trunk
from .photos import lay_out, list_photos
from .report import write_report

TRUNK = "efficientnet_lite0"
LARGE_TRUNK, LARGE_PHOTOS = "resnext101_32x48d_wsl", 6  # and one each for val and test
LARGE_S = 30.0
SCAN_S = 3.0
SPARE = 200  # from which val and test take one each, of a class that train has
ONE, TWO, FIVE = (224,), (224, 320), (224, 128, 320, 380, 400)
RESAMPLED = ("tensor",) if HAS_PILLOW_SIMD else RESAMPLERS


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured: a round of the full sizes takes about eight minutes on two idle cores."""

    rounds: int = 5
    turn_s: float = 1.0
    part_s: float = 0.5
    one: int = 1280
    two: int = 1280
    five: int = 256
    loop_one: int = 160
    loop_five: int = 64


QUICK = Sizes(rounds=1, one=256, two=256, five=256, loop_one=64, loop_five=32)


@dataclass(frozen=True)
class Compared:
    """An extraction's cost per image, warmed up, and that of the parts of its limit in the same seconds."""

    cost: Cost
    trunks: list[Cost]
    decode: Cost

    @property
    def limit(self) -> Cost:
        """Decoding once and running the trunk at every resolution."""
        parts = [self.decode, *self.trunks]
        return Cost(sum(part.wall_s for part in parts), sum(part.cpu_s for part in parts))


@dataclass(frozen=True)
class Bench:
    """One run: photographs laid out, backends exported, the fastest of each known."""

    folder: Path
    photos: list[Path]
    sizes: Sizes
    others: dict[str, str]
    yardstick: Yardstick

    def extract(self, n: int, resolutions: tuple[int, ...], *options: str, watched: bool = False) -> dict[str, Any]:
        """One extraction of `n` photographs into an empty cache, in a process of its own."""
        _, command = self._command(n, resolutions, *options)
        return run_child(command, watched=watched)

    def extract_in_turns(self, n: int, resolutions: tuple[int, ...], *options: str) -> Compared:
        """The same, taking turns with every part of its limit."""
        ready, command = self._command(n, resolutions, *options)
        ready.unlink(missing_ok=True)
        names = [_name_decode(resolutions), *map(_name_trunk, resolutions)]
        costs: dict[str, list[Cost]] = {name: [] for name in names}

        def measure() -> None:
            for name in names:
                costs[name].append(self.yardstick.measure(name, self.sizes.part_s))

        found, pauses = run_in_turns(command, ready, measure, self.sizes.turn_s)
        images = found["steady_images"]
        cost = Cost(measure_active(found["steady"], pauses) / images, found["steady_cpu_s"] / images)
        decode, *trunks = (average(costs[name]) for name in names)
        return Compared(cost, trunks, decode)

    def _command(self, n: int, resolutions: tuple[int, ...], *options: str) -> tuple[Path, list[str]]:
        ready, numbers = self.folder / "ready", ",".join(map(str, resolutions))
        module = [sys.executable, "-m", "tests.bench.pipeline"]
        return ready, [*module, str(ready), str(self._lay_out(n)), "--res", numbers, *options]

    def _lay_out(self, n: int) -> Path:
        data = self.folder / f"photos-{n}"
        return data if data.is_dir() else lay_out(self.photos, n, data)

    def loop(self, memory: str) -> dict[str, Any]:
        """The reference loop over every resolution, in a process of its own."""
        counts = {res: self.sizes.loop_one if res in ONE else self.sizes.loop_five for res in FIVE}
        data = str(self._lay_out(self.sizes.one) / "train")
        sizes = [f"{res}:{n}" for res, n in counts.items()]
        return run_child([sys.executable, "-m", "tests.bench.reference", data, TRUNK, memory, *sizes])

    def other(self, tool: str) -> dict[str, Any]:
        """Another tool's own way at 224, in a process of its own."""
        data = str(self._lay_out(self.sizes.five) / "train")
        return run_child([self.others[tool], str(Path(__file__).with_name("others.py")), tool, data])

    def run_round(self) -> dict[str, float]:
        """Every figure once."""
        alone = {name: self.extract(self.sizes.one, ONE, "--resampler", name) for name in RESAMPLED}
        others = {tool: self.other(tool)["image_s"] for tool in self.others}
        loops = {memory: self.loop(memory) for memory in ("default", "tuned")}
        figures = {
            f"loop ({memory} allocator) at 224, images/s": 1 / found["224"] for memory, found in loops.items()
        }
        figures |= {f"{tool}, images/s": 1 / image_s for tool, image_s in others.items()}
        for name in RESAMPLED:
            five = self.extract(self.sizes.five, FIVE, "--resampler", name)
            one = self.extract_in_turns(self.sizes.one, ONE, "--resampler", name)
            two = self.extract_in_turns(self.sizes.two, TWO, "--resampler", name)
            found = _list_stages(alone[name]) | _compare_limit(one, two) | _compare_loops(loops, alone[name], five)
            for tool, image_s in others.items():
                found[f"ahead of {tool} at 224"] = image_s / _steady_s(alone[name])
            figures |= {f"{name}: {figure}": value for figure, value in found.items()}
        return figures


def _steady_s(found: dict[str, Any]) -> float:
    """Seconds per image of an extraction that was not stopped."""
    return measure_active(found["steady"]) / found["steady_images"]


def _list_stages(one: dict[str, Any]) -> dict[str, float]:
    """Core-milliseconds per image of every stage at 224."""
    return {f"stage {stage} at 224, core-ms": 1e3 * s / one["images"] for stage, s in one["stages_s"].items()} | {
        "pipeline at 224, images/s": 1 / _steady_s(one),
        "pipeline at 224, call to seal, images/s": one["images"] / measure_active(one["whole"]),
        "loading and exporting, s": one["export_s"],
        "workers' start and first shard, s": one["first_shard_s"],
        "sealing, s": one["seal_s"],
    }


def _compare_limit(one: Compared, two: Compared) -> dict[str, float]:
    """Shares of the limit, its parts, and what 320 costs beyond its trunk."""
    figures = {}
    for resolutions, found in ((ONE, one), (TWO, two)):
        name = _join(resolutions)
        figures[f"limit at {name}, images/s"] = 1 / found.limit.wall_s
        figures |= {
            f"trunk at {res} beside {name}, ms": 1e3 * trunk.wall_s
            for res, trunk in zip(resolutions, found.trunks, strict=True)
        }
        figures[f"decode and resize to {name}, ms"] = 1e3 * found.decode.wall_s
        figures[f"share of the limit at {name}"] = found.limit.wall_s / found.cost.wall_s
        figures[f"share of the limit at {name}, processor time"] = found.limit.cpu_s / found.cost.cpu_s
    # What one resolution would have taken at the speed that the machine had with two.
    pace = two.trunks[0].wall_s / one.trunks[0].wall_s
    extra_s = two.cost.wall_s - pace * one.cost.wall_s
    figures["320 after 224, over its trunk alone"] = extra_s / two.trunks[1].wall_s - 1
    return figures


def _join(resolutions: tuple[int, ...]) -> str:
    return "+".join(map(str, resolutions))


def _name_trunk(res: int) -> str:
    return f"trunk at {res}"


def _name_decode(resolutions: tuple[int, ...]) -> str:
    return f"decode to {_join(resolutions)}"


def _compare_loops(loops: dict[str, dict[str, Any]], one: dict[str, Any], five: dict[str, Any]) -> dict[str, float]:
    """How many times as long the reference loop takes."""
    figures = {}
    for memory, found in loops.items():
        figures[f"ahead of the loop ({memory} allocator) at 224"] = found["224"] / _steady_s(one)
        all_s = sum(found[str(res)] for res in FIVE)
        figures[f"ahead of the loop ({memory} allocator) over five"] = all_s / _steady_s(five)
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
    with Yardstick({"trunk": (open_trunk, (spec, 224))}, bench.photos, processes) as yardstick:
        alone_s = processes * yardstick.measure("trunk", LARGE_S).wall_s
    options = ("--trunk", LARGE_TRUNK, "--weights", str(weights), "--resampler", RESAMPLED[0])
    found = bench.extract(LARGE_PHOTOS, ONE, *options, watched=True)
    images, stages = found["images"], found["stages_s"]
    return {
        f"{LARGE_TRUNK}, processes": processes,
        f"{LARGE_TRUNK} alone, process-s an image": alone_s,
        f"{LARGE_TRUNK} extracted, process-s an image": sum(stages.values()) / images,
        f"{LARGE_TRUNK} extracted over alone": sum(stages.values()) / images / alone_s,
        f"{LARGE_TRUNK}, {images} images from call to seal, s": measure_active(found["whole"]),
        f"{LARGE_TRUNK}, peak memory, GB": found["peak_bytes"] / 1e9,
    }


def choose_fastest(
    photos: list[Path], specs: list[BackendSpec], view: View
) -> tuple[BackendSpec, str, dict[str, float]]:
    """The fastest backend and decoder, and what each took, ms per image."""
    trunks: Parts = {f"trunk by {spec.kind}": (open_trunk, (spec, view.res)) for spec in specs}
    decoders: Parts = {f"decode and resize by {method}": (open_decoder, (method, [view])) for method in METHODS}
    scan = {}
    for name, part in {**trunks, **decoders}.items():
        with Yardstick({name: part}, photos, count_cores()) as yardstick:
            scan[name] = 1e3 * yardstick.measure(name, SCAN_S).wall_s
    spec = min(specs, key=lambda spec: scan[f"trunk by {spec.kind}"])
    method = min(METHODS, key=lambda method: scan[f"decode and resize by {method}"])
    return spec, method, {f"{name} at {view.res}, ms": ms for name, ms in scan.items()}


def list_parts(spec: BackendSpec, method: str, views: list[View]) -> Parts:
    """Every part of the limits at one and at two resolutions."""
    parts: dict[str, Any] = {_name_trunk(res): (open_trunk, (spec, res)) for res in TWO}
    for resolutions in (ONE, TWO):
        seen = [view for view in views if view.res in resolutions]
        parts[_name_decode(resolutions)] = open_decoder, (method, seen)
    return parts


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
        trunk = load_trunk(TRUNK)
        specs = prepare_kinds(trunk, TWO, folder)
        views = choose_views(trunk.preprocess, ["val"], Wanted(TWO, resampler=RESAMPLED[0]))["val"]
        del trunk
        spec, method, scan = choose_fastest(photos[: sizes.one], specs, views[0])
        rounds = []
        with Yardstick(list_parts(spec, method, views), photos[: sizes.one], count_cores()) as yardstick:
            bench = Bench(folder, photos, sizes, others or {}, yardstick)
            scan |= measure_memory(bench)
            if large:
                scan |= measure_large(bench)
            for i in range(sizes.rounds):
                rounds.append(bench.run_round())
                print(f"round {i + 1} of {sizes.rounds} done", file=sys.stderr)
    facts = {
        "machine": machine,
        "photographs": source,
        "trunk": TRUNK,
        "pillow": PIL.__version__,
        "fastest": [spec.kind, method],
    }
    print(write_report(results, "extract", facts, scan, rounds))
