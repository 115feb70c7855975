"""fixgrid's command line: parse, call, echo. The only file that prints."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from fixgrid.cache.errors import CacheError, DiskError, FixgridError, Interrupted, UsageError

if TYPE_CHECKING:
    from fixgrid.cache.holdings import Holdings
    from fixgrid.cache.rows import Manifest
    from fixgrid.cache.store import Entry, FeatureStore
    from fixgrid.embed.extraction import Extraction, Outcome
    from fixgrid.embed.trunks.identity import TrunkFacts
    from fixgrid.heads.artifact import SavedHead
    from fixgrid.heads.grid import GridOptions
    from fixgrid.heads.memo import Memo
    from fixgrid.heads.recipe import Pair
    from fixgrid.heads.subset import Source

VERSION = "0.1.0"
SAMPLE = "sample"
DEFAULT_TRUNK = "efficientnet_lite0"
LEAK = (
    "Leak: this trunk was trained with ImageNet's labels. If your images come from ImageNet (Stanford Dogs does), "
    "it has seen them, test images included, and every accuracy here is optimistic."
)


class _Failure(click.ClickException):
    """A known failure: one line on stderr and its own exit code."""

    def __init__(self, error: FixgridError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]


class _Commands(click.Group):
    """Turns every known error of a command into its line and exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            raise _Failure(Interrupted(f"{error} Resume with: {_typed_command()}")) from error
        except FixgridError as error:
            raise _Failure(error) from error
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] in ("cache", "embed", "heads"):
                raise
            lacking = f"found no package {error.name} in {sys.executable}; expected those of requirements.txt: "
            raise _Failure(UsageError(f"{lacking}make setup, then . .venv/bin/activate")) from error
        except BrokenPipeError:
            raise  # whoever read the output has enough of it: click ends quietly
        except OSError as error:
            where = "" if error.filename else " (where the output goes, or TMPDIR)"
            raise _Failure(
                DiskError(f"{error}{where}. Everything committed before is safe; mend it and run again.")
            ) from error
        except KeyboardInterrupt:
            raise _Failure(Interrupted(f"stopped. Resume with: {_typed_command()}")) from None


def _typed_command() -> str:
    return shlex.join(["python", *sys.argv]) if sys.argv[0].endswith(".py") else shlex.join(sys.argv)


def _read_settings(path: Path) -> dict[str, Any]:
    """Defaults from fixgrid.toml: plain names for every command, a table [command] for one of them."""
    from fixgrid.cache.settings import read_settings

    found = read_settings(path, {name: _list_options(command) for name, command in main.commands.items()})

    def merge(*tables: str) -> dict[str, Any]:
        return {name: value for table in ("", *tables) for name, value in found.get(table, {}).items()}

    settings = {name: merge(name) for name in main.commands}
    settings["plan"] = merge("extract", "plan")  # what extract would do, so as it would do it
    settings["cache"] = {name: merge("extract", "cache") for name in cache_group.commands}
    return settings


def _list_options(command: click.Command) -> dict[str, str]:
    """Parameter by option, as in train-views: train_views, of every option that settings may give."""
    parts = command.commands.values() if isinstance(command, click.Group) else [command]
    return {one.opts[0].lstrip("-"): str(one.name) for part in parts for one in part.params if one.envvar}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(VERSION, prog_name="fixgrid")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find the train x test resolution and the linear head that classify your images best.

    A frozen trunk runs once per split and resolution; its pooled features are cached, and heads train on
    them in seconds. Start with: extract, then fit-head, then grid.

    Options may also come from the environment (FIXGRID_DATA, FIXGRID_RES, ...) or from fixgrid.toml.
    """
    # Streams that the caller closed: the next file opened would receive what is printed.
    while (spare := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(spare)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a class that Latin-1 cannot print is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    ctx.default_map = _read_settings(Path("fixgrid.toml"))


def _option(*names: str, **settings: Any) -> Callable[..., Any]:
    """A click option that can also be given as FIXGRID_<NAME>, and in fixgrid.toml."""
    return click.option(*names, envvar="FIXGRID_" + names[0].lstrip("-").replace("-", "_").upper(), **settings)


class _Place(click.Path):
    """A path, in which ~ is expanded where no shell does it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not value:
            self.fail("found nothing; expected a path.", param, ctx)
        return Path(os.fsdecode(super().convert(os.path.expanduser(value), param, ctx)))


data_option = _option("--data", help="Folder, CSV, stanford-dogs, torchvision:NAME or sample.")
cache_option = _option("--cache", type=_Place(), default="features", show_default=True, help="Cache folder.")
trunk_option = _option("--trunk", help=f"Frozen network, see models. [default: {DEFAULT_TRUNK}]")
resize_option = _option(
    "--resize",
    type=click.Choice(["short-side", "height"]),
    help="What Resize sets; height is FixRes' own. [default: short-side]",
)
resampler_option = _option(
    "--resampler",
    type=click.Choice(["pillow", "tensor"]),
    help="Whose pixels: Pillow's, or the faster ones of torchvision's tensors. [default: pillow]",
)
format_option = _option(
    "--format",
    "style",
    type=click.Choice(["table", "md", "csv", "json"]),
    default="table",
    show_default=True,
    help="How results are printed.",
)


def _origin(ctx: click.Context, name: str) -> str:
    source = ctx.get_parameter_source(name)
    if source is click.core.ParameterSource.COMMANDLINE:
        return "option"
    if source is click.core.ParameterSource.ENVIRONMENT:
        return "environment"
    return "fixgrid.toml" if source is click.core.ParameterSource.DEFAULT_MAP else "default"


def _say(line: str = "") -> None:
    with suppress(OSError):  # a terminal that is gone, or a full disk behind 2>, ends no extraction
        click.echo(line, err=True)


def _say_settings(**settings: tuple[Any, str]) -> None:
    """What every default was resolved to, and from where."""
    width = max(map(len, settings))
    for name, (value, origin) in settings.items():
        _say(f"{name:<{width}}  {value} ({origin})")


def _choose_data(ctx: click.Context, store: FeatureStore, data: str | None) -> tuple[str, str]:
    """Option, environment, fixgrid.toml, the cache's only data set, the sample: the first there is."""
    from fixgrid.cache.holdings import list_sources

    if data is not None:
        return data, _origin(ctx, "data")
    known = list(list_sources(store))
    return (known[0], "the cache holds it") if len(known) == 1 else (SAMPLE, "built in")


extract_options = (
    data_option,
    cache_option,
    trunk_option,
    _option("--weights", type=_Place(exists=True, dir_okay=False), help="State dict of the trunk."),
    _option("--res", help="Resolutions in px, as in 224,320. [default: the trunk's own]"),
    _option(
        "--train-views",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Random crops per training image.",
    ),
    _option("--views", default="", help="More views: some of val_train,whole,five,ten."),
    _option(
        "--jitter", type=click.Choice(["torch", "full"]), default="torch", show_default=True, help="FixRes' kinds."
    ),
    resize_option,
    resampler_option,
    _option(
        "--split",
        type=click.Choice(["official", "2020"]),
        default="official",
        show_default=True,
        help="Dogs' split.",
    ),
    _option("--seed", type=int, default=0, show_default=True, help="Of splits and random crops."),
    _option(
        "--backend", default="auto", show_default=True, help="auto, onnxruntime, torch, eager, compile or openvino."
    ),
    _option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    _option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True),
    _option(
        "--dtype",
        type=click.Choice(["float32", "float16"]),
        default="float32",
        show_default=True,
        help="As stored.",
    ),
    _option("--workers", default="auto", show_default=True, help="Processes that decode and run the trunk."),
    _option("--max-bad", default="1%", show_default=True, help="Images that may be unusable before the run fails."),
    _option("--strict", is_flag=True, help="Fail at the first unusable image."),
    _option("--follow-links", is_flag=True, help="Follow links that stay inside the data folder."),
    _option("--rehash", is_flag=True, help="Read every file again, also those that look untouched."),
)


def _extracts(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every command that says what to extract."""
    for option in reversed(extract_options):
        command = option(command)
    return command


recalibrate_option = _option(
    "--recalibrate",
    is_flag=True,
    help="Also see val and test with the last batch norm recalibrated at each resolution, for --gap batchnorm.",
)


@main.command()
@_extracts
@recalibrate_option
@click.pass_context
def extract(ctx: click.Context, /, recalibrate: bool, **asked: Any) -> None:
    """Run the trunk once per split and resolution and cache its features.

    The same command resumes a stopped run and recomputes only what changed.
    """
    from fixgrid.embed.machine import extract_here
    from fixgrid.embed.recalibrate import expect_norm, recalibrate_here
    from fixgrid.embed.trunks.identity import identify_trunk

    max_bad = 0.0 if asked["strict"] else _parse_share(asked["max_bad"])
    with _Console() as console:
        request = _read_request(ctx, console, asked)
        facts, load = identify_trunk(asked["trunk"] or DEFAULT_TRUNK, asked["weights"], asked["cache"] / "trunks")
        extraction = _build_extraction(ctx, request, facts, asked)
        if recalibrate:
            expect_norm(extraction, facts)
        options: dict[str, Any] = {**_machine(asked), "max_bad": max_bad}
        outcome = extract_here(extraction, facts, load, console, **options)
        again = recalibrate_here(extraction, facts, load, console, **options) if recalibrate else {}
    _echo_outcome(outcome)
    for res, more in again.items():
        click.echo(f"recalibrated at {res} px: ", nl=False)
        _echo_outcome(more)
    ctx.exit(6 if outcome.bad else 0)


class _Request(NamedTuple):
    """What extract's options name, once the data set is read."""

    store: FeatureStore
    manifest: Manifest
    resolutions: list[int]
    data: tuple[str, str]


def _machine(asked: dict[str, Any]) -> dict[str, Any]:
    from fixgrid.embed.sizing import choose_device

    return {name: choose_device(asked[name]) if name == "device" else asked[name] for name in _ON_MACHINE}


_ON_MACHINE = ("backend", "device", "workers")


def _read_request(
    ctx: click.Context, console: _Console, asked: dict[str, Any], *, download: bool = True
) -> _Request:
    from fixgrid.embed.manifest import read_manifest
    from fixgrid.embed.prospect import expect_local
    from fixgrid.embed.request import parse_resolutions

    store = _open_store(asked["cache"])
    source, origin = _choose_data(ctx, store, asked["data"])
    resolutions = parse_resolutions(asked["res"]) if asked["res"] else []
    if not download:
        expect_local(source, asked["cache"])
    manifest, notes = read_manifest(
        source,
        cache_dir=asked["cache"],
        progress=console.show_hashed,
        download_progress=console.show_download,
        **{name: asked[name] for name in ("seed", "split", "follow_links", "rehash")},
    )
    for note in notes:
        _say(f"note: {note}")
    return _Request(store, manifest, resolutions, (source, origin))


def _build_extraction(
    ctx: click.Context, request: _Request, facts: TrunkFacts, asked: dict[str, Any]
) -> Extraction:
    """The extraction that extract's options ask for; says what they were resolved to."""
    from fixgrid.embed.machine import build_extraction
    from fixgrid.embed.sizing import choose_device, choose_precision

    res = asked["res"]
    _say_settings(
        data=request.data,
        trunk=(facts.name, _origin(ctx, "trunk")),
        res=(res or facts.preprocess.native_res, _origin(ctx, "res") if res else "the trunk's own"),
        cache=(asked["cache"], _origin(ctx, "cache")),
    )
    return build_extraction(
        request.store,
        request.manifest,
        facts,
        request.resolutions,
        precision=choose_precision(asked["precision"], choose_device(asked["device"])),
        extra=[kind for kind in asked["views"].split(",") if kind],
        resize=asked["resize"] or "short-side",
        resampler=asked["resampler"] or "pillow",
        **{name: asked[name] for name in ("dtype", "train_views", "jitter", "seed")},
    )


@main.command()
@_extracts
@recalibrate_option
@_option("--calibrate", is_flag=True, help="Time the trunk on a few images first, and remember how fast it is.")
@format_option
@click.pass_context
def plan(ctx: click.Context, /, recalibrate: bool, calibrate: bool, style: str, **asked: Any) -> None:
    """Say what extract with the same options would do, take and write, without running the trunk."""
    from fixgrid.embed import prospect
    from fixgrid.embed.recalibrate import expect_norm
    from fixgrid.embed.trunks.identity import identify_trunk
    from fixgrid.heads.table import format_records

    with _Console() as console:
        request = _read_request(ctx, console, asked, download=False)
        trunk, weights, memos = asked["trunk"] or DEFAULT_TRUNK, asked["weights"], asked["cache"] / "trunks"
        if calibrate:
            facts, load = identify_trunk(trunk, weights, memos)
            extraction = _build_extraction(ctx, request, facts, asked)
            prospect.calibrate(extraction, facts, load, console, **_machine(asked))
        else:
            facts = prospect.describe_trunk(trunk, weights, request.store)
            extraction = _build_extraction(ctx, request, facts, asked)
    items = prospect.list_items(extraction, facts, **_machine(asked))
    if recalibrate:
        expect_norm(extraction, facts)
        items += prospect.list_recalibration(extraction)
    click.echo(format_records([item._asdict() for item in items], style, wrapped=["note"]), nl=False)


def _parse_share(text: str) -> float:
    try:
        share = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"found --max-bad {text!r}; expected a share such as 1% or 0.01.")
    return share


def _say_skipped(outcome: Outcome, names: Sequence[bytes] = ()) -> None:
    """Images without features, by their paths in the data set or, of one split, by ``names``."""
    from fixgrid.cache.rowsfile import show_path

    for row in outcome.bad[:20]:
        name = show_path(names[row.row] if names else row.path)
        _say(f"skipped {name}: {row.status.name.lower()}, {row.reason}")
    if len(outcome.bad) > 20:
        _say(f"... and {len(outcome.bad) - 20} more, listed in quarantine.jsonl beside the features")


def _echo_outcome(outcome: Outcome) -> None:
    _say_skipped(outcome)
    if not outcome.computed and not outcome.adopted:
        click.echo(f"all features of {outcome.images} images were cached; the trunk ran 0 times")
        return
    rate = outcome.decoded / outcome.wall_s
    click.echo(
        f"{outcome.decoded} images decoded, {outcome.forwards} crops through the trunk in {outcome.wall_s:.1f} s "
        f"({rate:.1f} images/s); {outcome.adopted} rows taken over, {len(outcome.bad)} images skipped"
    )


pairs_option = _option("--pairs", help="As in 128:224,224:128+224, or seed. [default: every pair in the cache]")
train_view_option = _option(
    "--train-view",
    type=click.Choice(["train", "center", "both"]),
    help="Views of the training images. [default: train, else what is cached]",
)
pick_view_options = (
    _option("--train-views", type=click.IntRange(1), help="Which, if the cache holds several."),
    _option("--seed", type=int, help="Which, if the cache holds several."),
)


def _features(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every command that reads cached features."""
    which_view = (resize_option, resampler_option, *pick_view_options, train_view_option)
    options = (data_option, cache_option, trunk_option, *which_view)
    for option in reversed(options):
        command = option(command)
    return command


cell_options = (
    pairs_option,
    _option("--heads", default="logistic", show_default=True, help="all, or of logistic,ridge,lda,mean,knn,sgd."),
    _option(
        "--gap",
        default="none",
        show_default=True,
        help="all, or some of none,standardize,frechet,refit,batchnorm (that after extract --recalibrate).",
    ),
    _option("--test-view", type=click.Choice(["center", "five", "ten"]), default="center", show_default=True),
    _option(
        "--mean-of",
        type=click.Choice(["probabilities", "features"]),
        default="probabilities",
        show_default=True,
        help="What to average over several views of a test image.",
    ),
    _option("--refit", is_flag=True, help="Fit what val chose once more on train and val before test is scored."),
    _option("--drop-duplicates", is_flag=True, help="Train without the images that val or test holds as well."),
    _option("--strengths", help="full, or values of C as in 1e-3,1e-2. [default: searched coarse to fine]"),
)


def _makes_cells(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every command that fits heads."""
    for option in reversed(cell_options):
        command = option(command)
    return command


class _Cells(NamedTuple):
    """What the options of a command that fits heads name."""

    holdings: Holdings
    kinds: tuple[str, ...]
    source: Source
    pairs: list[Pair]
    options: GridOptions
    memo: Memo

    @property
    def n_classes(self) -> int:
        return len(self.holdings.manifest.classes)


def _read_cells(ctx: click.Context, asked: dict[str, Any]) -> _Cells:
    """Holdings, pairs and options from the values of `_features` and `_makes_cells`."""
    from fixgrid.heads.memo import Memo

    names = ("data", "cache", "trunk", "resize", "resampler", "train_views", "seed", "train_view")
    holdings, kinds = _open_holdings(ctx, **{name: asked[name] for name in names})
    pairs = _choose_pairs(holdings, kinds, asked["pairs"])
    gaps = _choose_gaps(holdings, pairs, asked["gap"], asked["test_view"])
    how = (asked[name] for name in ("heads", "test_view", "mean_of", "refit", "strengths"))
    options = _grid_options(kinds, gaps, *how)
    source = _drop_duplicates(holdings) if asked["drop_duplicates"] else holdings
    return _Cells(holdings, kinds, source, pairs, options, Memo(asked["cache"] / "cells", source.identify))


@main.command("fit-head")
@_features
@_makes_cells
@_option("--curve", help="Print the learning curve at these shares of the training images, as in 1,5,10,50%.")
@_option("--per-class", is_flag=True, help="Print the accuracy of each class as well.")
@_option("--confused", type=click.IntRange(1), help="Print as many of the most confused pairs of classes as well.")
@_option("--out", type=_Place(dir_okay=False), help="Head file, without suffix. [default: beside the features]")
@format_option
@click.pass_context
def fit_head(ctx: click.Context, /, curve: str | None, out: Path | None, style: str, **asked: Any) -> None:
    """Fit the head of the best resolution pair, chosen on val, score it on test once, and keep it.

    With --curve, print instead what some of the training images would have given; no head is kept.
    """
    from fixgrid.cache.holdings import shorten_source
    from fixgrid.heads.artifact import save_head
    from fixgrid.heads.breakdown import format_breakdown
    from fixgrid.heads.families import keep_linear
    from fixgrid.heads.fit import fit_best, keep_fitted
    from fixgrid.heads.table import fit_record

    cells = _read_cells(ctx, asked)
    if curve is not None:
        _echo_curve(cells, _parse_shares(curve), style)
        return
    families = keep_linear(cells.options.families)
    if families != cells.options.families:
        _say(f"note: knn heads are the training features, and not kept: chosen among {','.join(families)}")
    holdings, options = cells.holdings, dataclasses.replace(cells.options, families=families)
    fitted = fit_best(cells.source.load, cells.pairs, cells.n_classes, options)
    measured = fitted.measure(holdings.manifest.classes, n_confused=asked["confused"] or 0)
    figures = fit_record(fitted, measured)
    how = {
        "tried": [f"{train}:{test}" for train, test in cells.pairs],
        "search": fitted.choice.note,
        "mean_of": options.mean_of,
        "drop_duplicates": asked["drop_duplicates"],
    }
    kept = keep_fitted(fitted, holdings, {**figures, **how})
    data = re.sub(r"[^\w.-]+", "-", shorten_source(holdings.manifest.source)) or "data"
    stem = out or asked["cache"] / "heads" / f"{data}-{holdings.trunk}-{fitted.train_res}-{fitted.test_res}"
    files = save_head(stem, kept)
    click.echo(format_breakdown(figures, measured, style, asked["per_class"], asked["confused"]), nl=False)
    _say(f"head written to {files[0]} and {files[1].name}")
    _say(_leak_warning(holdings))


def _parse_shares(text: str) -> list[float]:
    """Shares in percent, as in ``1,5,10,50%``."""
    parts = [part.strip().rstrip("%") for part in text.split(",")]
    if not all(part.replace(".", "", 1).isdecimal() and 0 < float(part) <= 100 for part in parts):
        raise UsageError(f"found --curve {text!r}; expected percentages above 0 and up to 100, as in 1,5,10,50%.")
    return [float(part) / 100 for part in parts]


def _echo_curve(cells: _Cells, shares: list[float], style: str) -> None:
    from fixgrid.heads.curve import fit_curve
    from fixgrid.heads.table import format_curve

    points = fit_curve(cells.source, cells.pairs, cells.n_classes, shares, cells.options, cells.memo)
    click.echo(format_curve(points, style), nl=False)
    _say(_leak_warning(cells.holdings))


@main.command()
@_features
@format_option
@click.pass_context
def duplicates(ctx: click.Context, /, style: str, **asked: Any) -> None:
    """List images that occur twice, within a split or across splits, and drop none.

    Equal bytes, equal pixels, or features nearly alike in the cached center views nearest 224 px.
    """
    from fixgrid.heads.twins import choose_res, find_twins, format_twins, looks_alike

    holdings, _ = _open_holdings(ctx, **asked)
    splits = holdings.manifest.splits
    twins = find_twins(holdings, choose_res(holdings))
    click.echo(format_twins(twins, splits, style), nl=False)
    _say(f"{len(twins)} pairs of images that occur twice, {sum(twin.conflict for twin in twins)} with other labels")
    if looks_alike(twins, sum(map(len, splits.values()))):
        _say("So many look alike to this trunk that near ones may well be different images.")


@main.command()
@_features
@_makes_cells
@format_option
@click.pass_context
def grid(ctx: click.Context, /, style: str, **asked: Any) -> None:
    """Print the accuracy of every train x test resolution pair, the best marked, ties called ties."""
    from fixgrid.heads.grid import choose_cell, run_grid
    from fixgrid.heads.recipe import count_passes, list_recipes
    from fixgrid.heads.table import Notes, format_cells

    holdings, _, source, wanted, options, memo = request = _read_cells(ctx, asked)
    cells = []
    for cell in run_grid(source.load, wanted, request.n_classes, options, memo):
        cells.append(cell)
        _say(
            f"{cell.family} {cell.correction} {cell.train_res} -> {cell.test_res}: val {100 * cell.val.value:.2f} %"
        )
    passes = count_passes(list_recipes(source.load, wanted, request.n_classes, options))
    notes = Notes(*passes, _leak_warning(holdings))
    click.echo(format_cells(choose_cell(cells), notes, style), nl=False)


@main.command()
@_features
@_makes_cells
@_option("--out", type=_Place(dir_okay=False), default="report.html", show_default=True, help="HTML file.")
@click.pass_context
def report(ctx: click.Context, /, out: Path, **asked: Any) -> None:
    """Write the grid and the chosen head as one HTML page, with figures as PNG and CSV beside it."""
    from fixgrid.cache.disk import commit_bytes
    from fixgrid.embed.manifest import find_copies
    from fixgrid.embed.pictures import Album
    from fixgrid.embed.trunks.costs import COSTS_FILE, recall_costs
    from fixgrid.heads.exhibits import fill_report
    from fixgrid.heads.findings import find_all
    from fixgrid.heads.report import render_report
    from fixgrid.heads.table import format_records

    cells = _read_cells(ctx, asked)
    manifest, others = cells.holdings.manifest, _read_others(ctx, asked, cells.holdings)
    found = find_all(cells, others, partial(recall_costs, memo=asked["cache"] / COSTS_FILE))
    made = {"command": _typed_command(), "fixgrid": VERSION, "written": time.strftime("%Y-%m-%d %H:%M:%S %z")}
    shown = fill_report(
        found,
        cells,
        Album(manifest),
        made=made,
        leak=_leak_warning(cells.holdings),
        copies=find_copies(manifest),
    )
    page = render_report(shown)
    beside = out.with_name(f"{out.stem}_files")
    for drawing in shown.drawings.values():
        commit_bytes(beside / f"{drawing.name}.png", drawing.png)
        numbers = format_records(drawing.records, "csv")
        commit_bytes(beside / f"{drawing.name}.csv", numbers.encode("utf-8", "backslashreplace"))
    commit_bytes(out, page.encode("utf-8", "backslashreplace"))
    click.echo(f"report written to {out}")


def _read_others(ctx: click.Context, asked: dict[str, Any], holdings: Holdings) -> list[_Cells]:
    """The same cells by every other trunk that has seen these images; says which cannot give them."""
    from fixgrid.cache.store import FeatureStore
    from fixgrid.heads.findings import list_trunks

    others = []
    for trunk in list_trunks(FeatureStore(asked["cache"]), holdings.manifest):
        if trunk == holdings.trunk:
            continue
        try:
            others.append(_read_cells(ctx, {**asked, "data": holdings.manifest.source, "trunk": trunk}))
        except FixgridError as error:
            _say(f"note: {trunk} is not compared: {error}")
    return others


head_argument = click.argument("head", type=_Place(dir_okay=False))
moved_weights_option = _option(
    "--weights",
    type=_Place(exists=True, dir_okay=False),
    help="Where the trunk's weights are now. [default: where they were]",
)


@main.command()
@head_argument
@click.argument("images", nargs=-1, required=True)
@cache_option
@moved_weights_option
@_option("--top", type=click.IntRange(1), default=5, show_default=True, help="Classes per image.")
@format_option
@_option("--backend", default="auto", show_default=True, help="As of extract.")
@_option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@_option("--workers", default="auto", show_default=True, help="Processes that decode and run the trunk.")
@_option("--follow-links", is_flag=True, help="Follow links that stay inside a folder.")
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    head: Path,
    images: tuple[str, ...],
    cache: Path,
    weights: Path | None,
    top: int,
    style: str,
    follow_links: bool,
    **machine: str,
) -> None:
    """Classify images with a kept head: calibrated probabilities, one record per image.

    HEAD is what fit-head wrote. IMAGES are files, folders, patterns, or - for paths on standard input. Trunk,
    view and precision come from HEAD alone; features are cached, and taken from the cache where it has them.
    """
    from fixgrid.cache.shard import Status
    from fixgrid.cache.store import FeatureStore
    from fixgrid.embed.listing import SPLIT, hash_listing, list_images, read_paths
    from fixgrid.embed.machine import extract_here
    from fixgrid.embed.replica import adopt_known, build_replica, find_trunk, read_view
    from fixgrid.embed.sizing import choose_device
    from fixgrid.heads.artifact import load_head
    from fixgrid.heads.predictions import format_predictions, join_blocks, predict_images

    saved = load_head(head)
    views = [read_view(spec) for spec in saved.seen]
    typed = read_paths(sys.stdin.buffer if sys.stdin else ()) if images == ("-",) else map(os.fsencode, images)
    named = list_images(typed, follow_links=follow_links)
    machine["device"] = choose_device(machine["device"])
    with _Console() as console:
        facts, load = find_trunk(saved.trunk, views, weights, cache / "trunks")
        manifest, notes = hash_listing(
            named, shlex.join(images), memo_folder=cache / "hashes", progress=console.show_hashed
        )
        for note in (*named.notes, *notes):
            _say(f"note: {note}")
        # A cache of its own: images to classify are no data set that fit-head, grid or cache gc should meet.
        extraction = build_replica(FeatureStore(cache / "predictions"), manifest, facts, saved.trunk, views)
        adopt_known(extraction, FeatureStore(cache))
        outcome = extract_here(extraction, facts, load, console, max_bad=1.0, **machine)
    entries, rows = [outcome.entries[SPLIT, view] for view in views], manifest.splits[SPLIT]
    codes = map(max, zip(*(entry.read_status().tolist() for entry in entries), strict=True))
    statuses = [Status(code).name.lower() for code in codes]
    blocks = join_blocks([entry.read_blocks(rows) for entry in entries])
    found = predict_images(saved, blocks, named.names, statuses, top)
    click.echo(format_predictions(found, style), nl=False)
    _say_skipped(outcome, named.names)
    _say(
        f"{outcome.images} images: {outcome.decoded} decoded in {outcome.wall_s:.1f} s, "
        f"{outcome.images - outcome.decoded - len(outcome.bad)} from the cache, {len(outcome.bad)} skipped"
    )
    ctx.exit(6 if outcome.bad else 0)


@main.command()
@head_argument
@_option("--to", "form", type=click.Choice(["onnx", "torch", "safetensors", "sklearn"]), required=True)
@_option("--out", type=_Place(dir_okay=False), required=True, help="File to write; the model card goes beside it.")
@moved_weights_option
def export(head: Path, form: str, out: Path, weights: Path | None) -> None:
    """Write trunk and head for other programs, with a model card beside the file.

    onnx and torch take uint8 RGB crops (B, R, R, 3) and give probabilities; safetensors is a state dict for
    timm or torchvision; sklearn is the head alone. What has a trunk is run against it before it is kept.
    """
    from fixgrid.cache.disk import commit_bytes
    from fixgrid.embed.trunks.catalogue import find_licence
    from fixgrid.heads.artifact import load_head, name_files, save_coefficients
    from fixgrid.heads.card import USES, CardFacts, write_card

    saved = load_head(head)
    if saved.views:
        seen = "+".join(str(view.get("res")) for view in saved.views)
        raise UsageError(
            f"found a head that averages each image at {seen} px; expected one test resolution, since a file takes "
            "one crop: fit another with fit-head --pairs TRAIN:TEST."
        )
    stem = out.with_name(re.sub(r"\.(onnx|pt2|safetensors|json|md)$", "", out.name))
    suffix = {"onnx": ".onnx", "torch": ".pt2"}.get(form, ".safetensors")
    files = [stem.with_name(stem.name + end) for end in (suffix, ".json", suffix + ".md")]
    if not {file.resolve() for file in name_files(head)}.isdisjoint(file.resolve() for file in files):
        raise UsageError(f"{out} would replace the head itself; name another --out.")
    if form == "sklearn":
        save_coefficients(stem, saved)
    use = USES[form] if form == "sklearn" else _export_network(saved, form, stem, files[0], weights)
    licence = find_licence(str(saved.trunk.get("trunk")))
    facts = CardFacts(use, files[0].name, files[1].name, licence, LEAK, VERSION)
    commit_bytes(files[2], write_card(saved, facts).encode())
    click.echo(f"written to {files[0]}, model card in {files[2].name}")


def _export_network(saved: SavedHead, form: str, stem: Path, file: Path, weights: Path | None) -> str:
    """Write trunk and head together; the card's code that opens them."""
    from fixgrid.embed.export import (
        Classifier,
        describe_timm,
        expect_center,
        export_onnx,
        export_state,
        export_torch,
    )
    from fixgrid.embed.replica import open_trunk, read_view
    from fixgrid.embed.trunks.library import find_use
    from fixgrid.heads.card import USES

    view = read_view(saved.view)
    expect_center(view)
    trunk = open_trunk(saved.trunk, view, weights)
    classifier = Classifier(trunk, saved.head.coef, saved.head.intercept, saved.temperature)
    if form == "safetensors":
        record = describe_timm(trunk.architecture, view, saved.classes, saved.temperature)
        distance = export_state(classifier, trunk.architecture, view.res, record, stem)
    else:
        facts = {
            "classes": json.dumps(saved.classes),
            "resolution": str(view.res),
            "view": json.dumps(view.to_spec()),
            "trunk": trunk.name,
            "architecture": trunk.architecture,
            "weights_sha256": trunk.weights_sha256,
            "temperature": repr(saved.temperature),
            "fixgrid_version": VERSION,
        }
        write = export_onnx if form == "onnx" else export_torch
        distance = write(classifier, view.res, facts, file)
    _say(f"checked: its probabilities are within {distance:.1e} of the trunk's and head's own")
    return find_use(trunk.architecture) if form == "safetensors" else USES[form]


@main.command()
@format_option
def models(style: str) -> None:
    """List trunks: size, cost, accuracy, licence, and where the weights come from.

    Any other timm or torchvision name works too, as timm:NAME or torchvision:NAME.
    """
    from fixgrid.embed.trunks.catalogue import describe_trunk, list_trunks, shorten_trunk
    from fixgrid.heads.table import format_records

    _say("counting the parameters and multiply-adds of every trunk, some 20 s")
    records = list(map(describe_trunk, list_trunks()))
    if style != "table":
        click.echo(format_records(records, style), nl=False)
        return
    notes = [f"{record['trunk']}: {record['note']}" for record in records if record["note"]]
    notes += ["NC is CC BY-NC 4.0: not for commercial use", "where weights come from: --format csv"]
    click.echo("\n".join([format_records(list(map(shorten_trunk, records)), style), *notes]))


@main.command()
@cache_option
@_option("--deep", is_flag=True, help="Read and hash every byte of features, too.")
@format_option
@click.pass_context
def doctor(ctx: click.Context, /, cache: Path, deep: bool, style: str) -> None:
    """Check libraries, machine and cache, time decoding and the trunk, and recommend options.

    Ends with 2 if the installation is broken, with 4 if the cache is.
    """
    from fixgrid.embed.doctor import examine_cache, examine_installation, examine_speed, shorten_check
    from fixgrid.heads.table import format_records

    machine, held = examine_installation(), examine_cache(cache, deep=deep)
    unfit, damaged = (any(check.state == "broken" for check in checks) for checks in (machine, held))
    speed = [] if unfit else examine_speed(DEFAULT_TRUNK)
    checks = (*machine, *held, *speed)
    records = [shorten_check(check) if style == "table" else check._asdict() for check in checks]
    click.echo(format_records(records, style, wrapped=["found"]), nl=False)
    ctx.exit(2 if unfit else 4 if damaged else 0)


def _open_store(cache: Path) -> FeatureStore:
    """The cache, with a warning if anyone may put features of their own into it."""
    from fixgrid.cache.health import find_exposure
    from fixgrid.cache.store import FeatureStore

    store = FeatureStore(cache)
    for found, cure in find_exposure(store)[:1]:
        _say(f"warning: {found}: {cure}")
    return store


@main.group("cache")
def cache_group() -> None:
    """Look into the feature cache, check it, clean it."""


@cache_group.command("ls")
@cache_option
@format_option
def cache_ls(cache: Path, style: str) -> None:
    """List what is cached."""
    from fixgrid.cache.health import describe_entry, shorten_entry
    from fixgrid.cache.holdings import name_splits
    from fixgrid.cache.store import FeatureStore
    from fixgrid.heads.table import format_records

    store = FeatureStore(cache)
    named = name_splits(store)
    records = [describe_entry(entry, named) for entry in store.entries()]
    records = [shorten_entry(record) if style == "table" else record for record in records]
    click.echo(format_records(records, style, wrapped=["view"]), nl=False)


@cache_group.command("verify")
@cache_option
@_option("--sample", type=click.IntRange(0), default=0, show_default=True, help="Rows per key to compute again.")
def cache_verify(cache: Path, sample: int) -> None:
    """Hash every file again and check every row; with --sample, compute some rows again."""
    from fixgrid.cache.health import choose_rows, compare_rows, verify_store
    from fixgrid.cache.store import FeatureStore

    store = FeatureStore(cache)
    problems = verify_store(store)
    if sample and not problems:
        from fixgrid.embed.recompute import Recomputer

        recompute = Recomputer(store)
        for entry in store.entries():
            if entry.is_sealed:
                compare_rows(entry, choose_rows(entry, sample), recompute)
    for line in problems:
        click.echo(line)
    if problems:
        raise CacheError(f"found {len(problems)} damaged parts; run the extract that made them again.")
    click.echo(f"{len(store.entries())} keys: every byte is as it was written")


@cache_group.command("why")
@click.argument("key", required=False)
@_extracts
@click.pass_context
def cache_why(ctx: click.Context, /, key: str | None, **asked: Any) -> None:
    """Explain, field by field, how a key differs from its nearest neighbour in the cache.

    Without KEY, explain it for every key that extract with the same options would have to compute.
    """
    from fixgrid.cache.store import FeatureStore

    if key is None:
        return _explain_request(ctx, asked)
    store = FeatureStore(asked["cache"])
    mine = [entry for entry in store.entries() if entry.spec.key.startswith(key)]
    if len(mine) != 1:
        raise UsageError(f"found {len(mine)} keys that begin with {key!r}; expected one: see cache ls.")
    if not _echo_nearest(store, mine[0]):
        raise CacheError(f"{key} is the only key in {store.root}: there is nothing to compare it with.")


def _explain_request(ctx: click.Context, asked: dict[str, Any]) -> None:
    from fixgrid.embed.prospect import describe_trunk

    with _Console() as console:
        request = _read_request(ctx, console, asked, download=False)
    facts = describe_trunk(asked["trunk"] or DEFAULT_TRUNK, asked["weights"], request.store)
    missing = 0
    for (split, view), entry in _build_extraction(ctx, request, facts, asked).entries.items():
        if rows := int(entry.find_missing().sum()):
            missing += 1
            click.echo(
                f"{entry.spec.key[:12]} {split} {view.kind} {view.res} px lacks {rows} of {entry.spec.rows} rows"
            )
            if not _echo_nearest(request.store, entry):
                click.echo(f"  {request.store.root} holds no other key")
    if not missing:
        click.echo("every key is cached")


def _echo_nearest(store: FeatureStore, entry: Entry) -> bool:
    from fixgrid.cache.health import explain_miss

    nearest, lines = explain_miss(store, entry.spec)
    if nearest is not None:
        click.echo(f"nearest key {nearest.spec.key[:12]} differs in {len(lines)} field{'s' * (len(lines) != 1)}:")
        for line in lines:
            click.echo(f"  {line}")
    return nearest is not None


@cache_group.command("gc")
@cache_option
@click.option("--yes", is_flag=True, help="Remove it; without, only say what would be removed.")
def cache_gc(cache: Path, yes: bool) -> None:
    """Find what nothing needs any more: features of data sets as they were, damaged files, leftovers.

    Also of what predict has kept; its images are a data set that is called as they were named.
    """
    from fixgrid.cache.garbage import find_garbage, remove_garbage
    from fixgrid.cache.store import FeatureStore

    found = [item for root in (cache, cache / "predictions") for item in find_garbage(FeatureStore(root))]
    for item in found:
        click.echo(f"{item.bytes / 1e6:8.1f} MB  {item.path}: {item.why}")
    if yes:
        remove_garbage(found)
    total = sum(item.bytes for item in found) / 1e6
    click.echo(f"{total:.1f} MB {'removed' if yes else 'to remove with --yes'}")


def _open_holdings(
    ctx: click.Context,
    data: str | None,
    cache: Path,
    trunk: str | None,
    resize: str | None,
    resampler: str | None,
    train_views: int | None,
    seed: int | None,
    train_view: str | None,
) -> tuple[Holdings, tuple[str, ...]]:
    """The features that the options name, and the kinds of training view to fit on."""
    from fixgrid.cache.holdings import find_holdings

    asked = {"resize": resize, "resampler": resampler, "draws": train_views, "seed": seed}
    view = {name: value for name, value in asked.items() if value is not None}
    holdings = find_holdings(_open_store(cache), data, trunk, view)
    kinds = {"both": ("train", "center"), None: ("train",)}.get(train_view, (str(train_view),))
    if train_view is None and not holdings.resolutions("train", "train"):
        kinds = ("center",)
    in_cache = "the cache holds it"
    _say_settings(
        data=(holdings.manifest.source, _origin(ctx, "data") if data else in_cache),
        trunk=(holdings.trunk, _origin(ctx, "trunk") if trunk else in_cache),
        cache=(cache, _origin(ctx, "cache")),
        views=(f"{'+'.join(kinds)} for training, center for val and test", _origin(ctx, "train_view")),
    )
    return holdings, kinds


def _choose_pairs(holdings: Holdings, kinds: tuple[str, ...], text: str | None) -> list[Pair]:
    """Resolution pairs from ``128:224,224:128+224`` or ``seed``; without a text, all that the cache holds."""
    from fixgrid.heads.grid import SEED_PAIRS
    from fixgrid.heads.recipe import read_pair

    if text == "seed":
        return list(SEED_PAIRS)
    if text is None:
        train = set.intersection(*(set(holdings.resolutions("train", kind)) for kind in kinds))
        test = set(holdings.resolutions("val", "center")) & set(holdings.resolutions("test", "center"))
        return [(a, b) for a in sorted(train) for b in sorted(test)]
    return list(dict.fromkeys(map(read_pair, text.split(","))))


def _choose_gaps(holdings: Holdings, pairs: list[Pair], text: str, test_view: str) -> tuple[str, ...]:
    """Corrections that --gap names; ``all`` has batchnorm only where the cache holds it for every pair."""
    from fixgrid.cache.holdings import RECALIBRATED
    from fixgrid.heads.gap import CORRECTIONS
    from fixgrid.heads.views import list_resolutions

    chosen = _choose_some("--gap", text, ("none", *CORRECTIONS, "refit", "batchnorm"))
    if "batchnorm" in chosen:
        try:
            for res in sorted({res for _, test_res in pairs for res in list_resolutions(test_res)}):
                for split in ("val", "test"):
                    holdings.entry(split, RECALIBRATED + test_view, res)
        except CacheError:
            if text != "all":
                raise
            _say("note: without --gap batchnorm, which needs extract --recalibrate at every test resolution")
            return chosen[:-1]
    return chosen


def _grid_options(
    kinds: tuple[str, ...],
    corrections: tuple[str, ...],
    heads: str,
    test_view: str,
    mean_of: str,
    refit: bool,
    strengths: str | None,
) -> GridOptions:
    from fixgrid.heads.families import FAMILIES
    from fixgrid.heads.grid import GridOptions
    from fixgrid.heads.logistic import DINOV2_C

    families = _choose_some("--heads", heads, tuple(FAMILIES))
    path = DINOV2_C if strengths in (None, "full") else _parse_strengths(str(strengths))
    coarse = 2 if strengths is None else 1
    return GridOptions(kinds, test_view, mean_of, families, corrections, path, coarse, refit)


def _drop_duplicates(holdings: Holdings) -> Source:
    """The features without the training images that val or test holds too; says how many those are."""
    from fixgrid.heads.twins import choose_res, drop_twins, find_twins, keep_copies

    res = choose_res(holdings)
    twins = find_twins(holdings, res)
    copies = keep_copies(twins, sum(map(len, holdings.manifest.splits.values())))
    subset = drop_twins(holdings, res, copies)
    dropped = len(holdings.load("train", "center", res).row) - len(subset.rows)
    spared = ", near ones stay, since so many look alike to this trunk" * (len(copies) < len(twins))
    _say(
        f"{dropped} training images dropped, val or test has them{spared}; "
        f"python cli.py duplicates: {len(twins)} pairs"
    )
    return subset


def _parse_strengths(text: str) -> tuple[float, ...]:
    try:
        values = {float(part) for part in text.split(",")}
    except ValueError:
        values = {-1.0}
    if not all(0 < value < float("inf") for value in values):
        raise UsageError(f"found --strengths {text!r}; expected full, or numbers above 0, as in 1e-3,1e-2.")
    return tuple(sorted(values))


def _choose_some(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(dict.fromkeys(known))
    chosen = known if text == "all" else tuple(part.strip() for part in text.split(","))
    for name in chosen:
        if name not in known:
            raise UsageError(f"found {option} {name!r}; expected all, or some of {','.join(known)}.")
    return chosen


def _leak_warning(holdings: Holdings) -> str:
    labels = any(entry.provenance.get("imagenet_labels") for entry in holdings.entries.values())
    return LEAK if labels else ""


class _Console:
    """Shows long work on stderr: a live bar on a terminal, a line every ten seconds elsewhere."""

    LINE_EVERY_S = 10.0

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._began = self._said = time.monotonic()
        self._images = self._first = 0

    def __enter__(self) -> _Console:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, images: int, done: int) -> None:
        """See `embed.engine.Watcher`."""
        self._began = self._said = time.monotonic()
        self._images, self._first = images, done
        if done:
            _say(f"{done} of {images} images are cached; continuing with the rest")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("extract", total=images, completed=done, rate="")
            self._bar.start()

    def advance(self, done: int) -> None:
        """See `embed.engine.Watcher`."""
        now = time.monotonic()
        rate = (done - self._first) / max(now - self._began, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, rate=f"{rate:.0f} images/s")
        elif now - self._said > self.LINE_EVERY_S and rate:
            self._said = now
            left = (self._images - done) / rate
            _say(f"{done}/{self._images} images, {rate:.0f} images/s, {left:.0f} s left")

    def notice(self, line: str) -> None:
        """See `embed.engine.Watcher`."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False)
        else:
            _say(line)

    def show_hashed(self, done: int, total: int) -> None:
        """Progress of hashing files."""
        self._show_slow(f"hashed {done}/{total} files")

    def show_download(self, name: str, done: int, total: int | None) -> None:
        """Progress of a download, bytes."""
        of = f" of {total / 1e6:.0f}" if total else ""
        self._show_slow(f"{name}: {done / 1e6:.0f}{of} MB")

    def _show_slow(self, line: str) -> None:
        if time.monotonic() - self._said > self.LINE_EVERY_S:
            self._said = time.monotonic()
            _say(line)


if __name__ == "__main__":
    main()
