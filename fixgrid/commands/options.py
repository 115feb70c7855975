"""Options that several commands share, each declared once; their names are those of the functions' arguments."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

Command = Callable[..., Any]


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option that can also be given as FIXGRID_<NAME>, and in fixgrid.toml."""
    return click.option(*names, envvar="FIXGRID_" + names[0].lstrip("-").replace("-", "_").upper(), **settings)


class Place(click.Path):
    """A path, in which ~ is expanded where no shell does it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, which must not be empty."""
        if not value:
            self.fail("found nothing; expected a path.", param, ctx)
        return Path(os.fsdecode(super().convert(os.path.expanduser(value), param, ctx)))


def _all(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options at once, listed in this order."""

    def declare(command: Command) -> Command:
        for one in reversed(options):
            command = one(command)
        return command

    return declare


data = option("--data", help="Folder, CSV, stanford-dogs, torchvision:NAME or sample.")
cache = option("--cache", type=Place(), default="features", show_default=True, help="Cache folder.")


def _expect_asked(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The trunk, refused if running it would be the word of fixgrid.toml alone."""
    if value and ctx.get_parameter_source(str(param.name)) is ParameterSource.DEFAULT_MAP:
        from fixgrid.identifying import expect_data

        expect_data(value)
    return value


trunk = option("--trunk", help="Frozen network, see models. [default: efficientnet_lite0]")
run_trunk = option(
    "--trunk",
    callback=_expect_asked,
    help="Frozen network: a name, see models, FILE.py:function or FILE.onnx; several, as in a,b, share one pass. "
    "[default: efficientnet_lite0]",
)
resize = option(
    "--resize",
    type=click.Choice(["short-side", "height"]),
    help="What Resize sets; height is FixRes' own. [default: short-side]",
)
resampler = option(
    "--resampler",
    type=click.Choice(["pillow", "tensor"]),
    help="Whose pixels: Pillow's, or the faster ones of torchvision's tensors. [default: pillow]",
)
look = _all(
    option("--mean", help="Of pixels in 0..1, as in 0.5,0.5,0.5 or 0.5. [default: the weights' own]"),
    option("--std", help="Likewise."),
    option(
        "--interpolation",
        type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos"]),
        help="Of Resize. [default: the weights' own]",
    ),
    option("--crop-ratio", help="Crop side over resized side, as in 0.875. [default: the weights' own]"),
    option(
        "--crop-mode",
        type=click.Choice(["center", "squash", "border"]),
        help="What center crops are cut from: the resized image, the image squashed or padded to a square. "
        "[default: the weights' own]",
    ),
)
"""How pixels are prepared, where it is not as the weights' own metadata says."""
style = option(
    "--format",
    "style",
    type=click.Choice(["table", "md", "csv", "json"]),
    default="table",
    show_default=True,
    help="How results are printed.",
)
follow_links = option("--follow-links", is_flag=True, help="Follow links that stay inside the data folder.")
moved_weights = option(
    "--weights",
    type=Place(exists=True, dir_okay=False),
    help="Where the trunk's weights are now. [default: where they were]",
)


def _take_typed(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """What was typed here: a trunk that is run because settings name it for extract would be run unasked."""
    return value if ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE else None


own_trunk = click.option(
    "--trunk", callback=_take_typed, help="FILE.py:function or FILE.onnx, if the head was fitted on one."
)
backend = option(
    "--backend", default="auto", show_default=True, help="auto, onnxruntime, torch, eager, compile or openvino."
)
device = option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
workers = option("--workers", default="auto", show_default=True, help="Processes that decode and run the trunk.")
engine = option(
    "--engine", default="local", show_default=True, help="Who runs them: local, or inline in this very process."
)
machine = _all(backend, device, workers, engine)

extracts = _all(
    data,
    option("--limit", help="So many of its images, or a share as in 10%, called NAME@LIMIT. [default: all]"),
    cache,
    run_trunk,
    option("--weights", type=Place(exists=True, dir_okay=False), help="State dict of the trunk."),
    option("--name", help="What you call the trunk with these weights; later commands take it as --trunk."),
    option("--res", help="Resolutions in px, as in 224,320. [default: the trunk's own]"),
    option(
        "--train-views",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Random crops per training image.",
    ),
    option(
        "--features",
        default="pooled",
        show_default=True,
        help="Kinds, from one pass: some of pooled,cls,patch_mean,gem,last4,projected, KIND@LAYER, joined by +.",
    ),
    option("--views", default="", help="More views: some of val_train,whole,five,ten."),
    option(
        "--jitter", type=click.Choice(["torch", "full"]), default="torch", show_default=True, help="FixRes' kinds."
    ),
    resize,
    resampler,
    look,
    option(
        "--split",
        type=click.Choice(["official", "2020"]),
        default="official",
        show_default=True,
        help="Dogs' split.",
    ),
    option("--seed", type=int, default=0, show_default=True, help="Of splits and random crops."),
    backend,
    device,
    option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True),
    option(
        "--dtype",
        type=click.Choice(["float32", "float16"]),
        default="float32",
        show_default=True,
        help="As stored.",
    ),
    workers,
    engine,
    option("--max-bad", default="1%", show_default=True, help="Images that may be unusable before the run fails."),
    option("--strict", is_flag=True, help="Fail at the first unusable image."),
    follow_links,
    option("--rehash", is_flag=True, help="Read every file again, also those that look untouched."),
)
"""Of every command that says what to extract; see `fixgrid.Request`."""

recalibrate = option(
    "--recalibrate",
    is_flag=True,
    help="Also see val and test with the last batch norm recalibrated at each resolution, for --gap batchnorm.",
)

_views = _all(
    resize,
    resampler,
    look,
    option("--train-views", type=click.IntRange(1), help="Which, if the cache holds several."),
    option("--seed", type=int, help="Which, if the cache holds several."),
)
reads_features = _all(
    data,
    cache,
    option("--trunk", help="Which, as cache ls calls it; several, or all. [default: the cache's only one]"),
    option("--features", help="Kinds of features: some that were extracted, or all. [default: pooled]"),
    _views,
    option("--train-view", help="Some of train,center,both. [default: train, else what is cached]"),
)
"""Of every command that asks what heads on cached features are worth; see
`fixgrid.feature_requests.FeaturesRequest`."""

_CACHED_TRUNK = "Which, as cache ls calls it. [default: the cache's only one]"
cached_trunk = option("--trunk", help=_CACHED_TRUNK)
run_cached_trunk = option("--trunk", callback=_expect_asked, help=_CACHED_TRUNK)
_one_res = option("--res", type=click.IntRange(1), help="Resolution in px. [default: the cache's only one]")
names_view = _all(_one_res, _views)
"""Of a command that takes features of one resolution and look."""
names_splits = _all(
    option("--features", help="Kind of features. [default: pooled]"),
    _one_res,
    option("--split", help="Some of train,val,test. [default: all that are cached]"),
    _views,
)
"""Of every command that takes cached features as they are; see `fixgrid.feature_requests.SplitsRequest`."""

pairs = option("--pairs", help="As in 128:224,224:128+224, or seed. [default: every pair in the cache]")
heads = option("--heads", help="all, or of logistic,ridge,lda,mean,knn,sgd. [default: logistic; of numbers ridge]")
strengths = option("--strengths", help="full, or values of C as in 1e-3,1e-2. [default: searched coarse to fine]")
top = option("--top", type=click.IntRange(1), help="Show so many of the best on val. [default: all]")

makes_cells = _all(
    pairs,
    heads,
    option(
        "--gap",
        default="none",
        show_default=True,
        help="all, or some of none,standardize,frechet,refit,batchnorm (that after extract --recalibrate).",
    ),
    option("--test-view", default="center", show_default=True, help="Some of center,five,ten."),
    option(
        "--mean-of",
        type=click.Choice(["probabilities", "features"]),
        default="probabilities",
        show_default=True,
        help="What to average over several views of a test image.",
    ),
    option("--refit", is_flag=True, help="Fit what val chose once more on train and val before test is scored."),
    option("--drop-duplicates", is_flag=True, help="Train without the images that val or test holds as well."),
    strengths,
    option(
        "--folds",
        type=click.IntRange(2),
        help="Choose by so many folds of train and val instead of by val. [default: val chooses]",
    ),
    option(
        "--repeats",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Deals of folds, or draws of --curve.",
    ),
    option("--fold-seed", type=int, default=0, show_default=True, help="Of the first deal."),
    option(
        "--metric",
        help="What chooses: accuracy, balanced, f1, auroc; kappa of an order, map or auroc of several labels, r2 "
        "of numbers. [default: accuracy; of other labels kappa, map, r2]",
    ),
    option(
        "--class-weight",
        type=click.Choice(["none", "balanced"]),
        default="none",
        show_default=True,
        help="Whether the training images of each class together weigh alike.",
    ),
)
"""Of every command that fits heads; see `fixgrid.GridRequest`."""
