"""fixgrid's command line: parse, call, echo. The only file that prints."""

from __future__ import annotations

import importlib
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cache.errors import FixgridError, Interrupted, UsageError

if TYPE_CHECKING:
    from cache.store import FeatureStore
    from embed.engine import Outcome

SAMPLE = "sample"
DEFAULT_TRUNK = "efficientnet_lite0"


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
        except KeyboardInterrupt:
            raise _Failure(Interrupted(f"stopped. Resume with: {_typed_command()}")) from None


def _typed_command() -> str:
    return shlex.join(["python", *sys.argv]) if sys.argv[0].endswith(".py") else shlex.join(sys.argv)


def _read_settings(path: Path) -> dict[str, Any]:
    """Defaults from fixgrid.toml: plain names for every command, a table [command] for one of them."""
    if not path.is_file():
        return {}
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        found = toml.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} is not readable TOML ({error}).") from error
    shared = {name.replace("-", "_"): value for name, value in found.items() if not isinstance(value, dict)}
    for name, value in shared.items():
        shared[name] = ",".join(map(str, value)) if isinstance(value, list) else value
    return {name: {**shared, **found.get(name, {})} for name in main.commands}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option("0.1.0", prog_name="fixgrid")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find the train x test resolution and the linear head that classify your images best.

    A frozen trunk runs once per split and resolution; its pooled features are cached, and heads train on
    them in seconds. Start with: extract, then fit-head, then grid.

    Options may also come from the environment (FIXGRID_DATA, FIXGRID_RES, ...) or from fixgrid.toml.
    """
    ctx.default_map = _read_settings(Path("fixgrid.toml"))


def _option(*names: str, **settings: Any) -> Callable[..., Any]:
    """A click option that can also be given as FIXGRID_<NAME>."""
    variable = names[-1] if not names[-1].startswith("-") else names[0].lstrip("-")
    return click.option(*names, envvar="FIXGRID_" + variable.replace("-", "_").upper(), **settings)


data_option = _option("--data", help="Folder, CSV, stanford-dogs, torchvision:NAME or sample.")
cache_option = _option("--cache", type=Path, default="features", show_default=True, help="Cache folder.")
trunk_option = _option("--trunk", help=f"Frozen network, see models. [default: {DEFAULT_TRUNK}]")
resize_option = _option(
    "--resize",
    type=click.Choice(["short-side", "height"]),
    help="What Resize sets; height is FixRes' own. [default: short-side]",
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
    click.echo(line, err=True)


def _say_settings(**settings: tuple[Any, str]) -> None:
    """What every default was resolved to, and from where."""
    width = max(map(len, settings))
    for name, (value, origin) in settings.items():
        _say(f"{name:<{width}}  {value} ({origin})")


def _choose_data(ctx: click.Context, store: FeatureStore, data: str | None) -> tuple[str, str]:
    """Option, environment, fixgrid.toml, the cache's only data set, the sample: the first there is."""
    from cache.holdings import list_sources

    if data is not None:
        return data, _origin(ctx, "data")
    known = list(list_sources(store))
    return (known[0], "the cache holds it") if len(known) == 1 else (SAMPLE, "built in")


@main.command()
@data_option
@cache_option
@trunk_option
@_option("--weights", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="State dict of the trunk.")
@_option("--res", help="Resolutions in px, as in 224,320. [default: the trunk's own]")
@_option(
    "--train-views", type=click.IntRange(0), default=2, show_default=True, help="Random crops per training image."
)
@_option("--views", default="", help="More views: some of val_train,whole,five,ten.")
@_option(
    "--jitter", type=click.Choice(["torch", "full"]), default="torch", show_default=True, help="FixRes' kinds."
)
@resize_option
@_option(
    "--split", type=click.Choice(["official", "2020"]), default="official", show_default=True, help="Dogs' split."
)
@_option("--seed", type=int, default=0, show_default=True, help="Of splits and random crops.")
@_option("--backend", default="auto", show_default=True, help="auto, onnxruntime, torch, compile or openvino.")
@_option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@_option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True)
@_option(
    "--dtype", type=click.Choice(["float32", "float16"]), default="float32", show_default=True, help="As stored."
)
@_option("--workers", default="auto", show_default=True, help="Processes that decode and run the trunk.")
@_option("--max-bad", default="1%", show_default=True, help="Images that may be unusable before the run fails.")
@_option("--strict", is_flag=True, help="Fail at the first unusable image.")
@_option("--follow-links", is_flag=True, help="Follow links that stay inside the data folder.")
@_option("--rehash", is_flag=True, help="Read every file again, also those that look untouched.")
@click.pass_context
def extract(
    ctx: click.Context,
    data: str | None,
    cache: Path,
    trunk: str | None,
    weights: Path | None,
    res: str | None,
    train_views: int,
    views: str,
    jitter: str,
    resize: str | None,
    split: str,
    seed: int,
    backend: str,
    device: str,
    precision: str,
    dtype: str,
    workers: str,
    max_bad: str,
    strict: bool,
    follow_links: bool,
    rehash: bool,
) -> None:
    """Run the trunk once per split and resolution and cache its features.

    The same command resumes a stopped run and recomputes only what changed.
    """
    from cache.store import FeatureStore
    from embed.engine import Extraction, TrunkKey
    from embed.machine import choose_device, choose_precision, extract_here
    from embed.manifest import read_manifest
    from embed.request import choose_views, parse_resolutions
    from embed.trunks import load_trunk

    store = FeatureStore(cache)
    source, data_origin = _choose_data(ctx, store, data)
    resolutions = parse_resolutions(res) if res else []
    max_bad_share = 0.0 if strict else _parse_share(max_bad)
    with _Console() as console:
        manifest, notes = read_manifest(
            source,
            cache_dir=cache,
            seed=seed,
            split=split,
            follow_links=follow_links,
            rehash=rehash,
            progress=console.show_hashed,
            download_progress=console.show_download,
        )
        loaded = load_trunk(trunk or DEFAULT_TRUNK, weights=weights)
        _say_settings(
            data=(source, data_origin),
            trunk=(loaded.name, _origin(ctx, "trunk")),
            res=(res or loaded.preprocess.native_res, _origin(ctx, "res") if res else "the trunk's own"),
            cache=(cache, _origin(ctx, "cache")),
        )
        for note in notes:
            _say(f"note: {note}")
        asked = choose_views(
            loaded.preprocess,
            manifest.splits,
            resolutions or [loaded.preprocess.native_res],
            train_views=train_views,
            jitter=jitter,
            extra=[kind for kind in views.split(",") if kind],
            resize=resize or "short-side",
            seed=seed,
        )
        device = choose_device(device)
        identity = TrunkKey(
            name=loaded.name,
            architecture=loaded.architecture,
            node=loaded.node,
            weights_sha256=loaded.weights_sha256,
            dim=loaded.dim,
            precision=choose_precision(precision, device),
        )
        outcome = extract_here(
            Extraction(store, manifest, identity, asked, dtype),
            loaded,
            console,
            backend=backend,
            device=device,
            workers=workers,
            max_bad=max_bad_share,
        )
    _echo_outcome(outcome)
    ctx.exit(6 if outcome.bad else 0)


def _parse_share(text: str) -> float:
    try:
        share = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"found --max-bad {text!r}; expected a share such as 1% or 0.01.")
    return share


def _echo_outcome(outcome: Outcome) -> None:
    from cache.rowsfile import show_path

    for row in outcome.bad[:20]:
        _say(f"skipped {show_path(row.path)}: {row.status.name.lower()}, {row.reason}")
    if len(outcome.bad) > 20:
        _say(f"... and {len(outcome.bad) - 20} more, listed in quarantine.jsonl beside the features")
    if not outcome.computed and not outcome.adopted:
        click.echo(f"all features of {outcome.images} images were cached; the trunk ran 0 times")
        return
    rate = outcome.decoded / outcome.wall_s
    click.echo(
        f"{outcome.decoded} images decoded, {outcome.forwards} crops through the trunk in {outcome.wall_s:.1f} s "
        f"({rate:.1f} images/s); {outcome.adopted} rows taken over, {len(outcome.bad)} images skipped"
    )


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
