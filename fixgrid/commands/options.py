"""Options that several commands share, each declared once; their names are those of the functions' arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from .completion import complete_by
from .places import CachePlace, Root
from .places import Place as Place
from .usage import Option

Command = Callable[..., Any]


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option that can also be given as FIXGRID_<NAME>, and in fixgrid.toml."""
    envvar = "FIXGRID_" + names[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, cls=Option, envvar=envvar, **settings)


def choice(*values: str) -> click.Choice[str]:
    """One of some words, in upper case, too."""
    return click.Choice(values, case_sensitive=False)


def all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options at once, listed in this order."""

    def declare(command: Command) -> Command:
        for one in reversed(options):
            command = one(command)
        return command

    return declare


complete_data, complete_trunk = complete_by("complete_data", files=True), complete_by("complete_trunk", files=True)
data = option(
    "--data",
    shell_complete=complete_data,
    help="Folder, table, URL of one, stanford-dogs[:2020], torchvision:NAME or sample.",
)

head = click.argument("head", type=Place(dir_okay=False), shell_complete=complete_by("complete_head", files=True))
cache = option(
    "--cache", type=CachePlace(), default="features", show_default=True, help="Cache folder, or s3://BUCKET/NAME."
)


def _expect_asked(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The trunk, refused if running it would be the word of fixgrid.toml alone."""
    if value and ctx.get_parameter_source(str(param.name)) is ParameterSource.DEFAULT_MAP:
        from fixgrid.identifying import expect_data

        expect_data(value)
    return value


run_trunk = option(
    "--trunk",
    shell_complete=complete_trunk,
    callback=_expect_asked,
    help="Frozen network: a name, see models, FILE.py:function or FILE.onnx; several, as in a,b, share one pass. "
    "[default: efficientnet_lite0]",
)
resize = option(
    "--resize",
    type=choice("short-side", "height"),
    help="What Resize sets; height is FixRes' own. [default: short-side]",
)
resampler = option(
    "--resampler",
    type=choice("pillow", "tensor"),
    help="Whose pixels: Pillow's, or the faster ones of torchvision's tensors. [default: pillow]",
)
look = all_of(
    option("--mean", help="Of pixels in 0..1, as in 0.5,0.5,0.5 or 0.5. [default: the weights' own]"),
    option("--std", help="Likewise."),
    option(
        "--interpolation",
        type=choice("nearest", "bilinear", "bicubic", "lanczos"),
        help="Of Resize. [default: the weights' own]",
    ),
    option("--crop-ratio", help="Crop side over resized side, as in 0.875. [default: the weights' own]"),
    option(
        "--crop-mode",
        type=choice("center", "squash", "border"),
        help="What center crops are cut from: the resized image, the image squashed or padded to a square. "
        "[default: the weights' own]",
    ),
)
"""How pixels are prepared, where it is not as the weights' own metadata says."""
scale = option(
    "--scale",
    help="Of images above 8 bits: the value that is white, as 4095, or LOW:HIGH. [default: 65535]",
)
style = option(
    "--format",
    "style",
    type=choice("table", "md", "csv", "json"),
    default="table",
    show_default=True,
    help="How results are printed.",
)
breakdown = all_of(
    option("--per-class", is_flag=True, help="Print how well each class is recognised as well."),
    option(
        "--confused", type=click.IntRange(1), help="Print as many of the most confused pairs of classes as well."
    ),
    option(
        "--mistakes",
        type=click.IntRange(1),
        help="Print as many wrong answers as well, the worst first, with their files; csv and json have all.",
    ),
)
"""Tables that a command prints beside the figures of a head; see `fixgrid.heads.breakdown`."""
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
    "--trunk",
    cls=Option,
    callback=_take_typed,
    help="FILE.py:function or FILE.onnx, if the head was fitted on one.",
)
backend = option(
    "--backend", default="auto", show_default=True, help="auto, onnxruntime, torch, eager, compile or openvino."
)
device = option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
workers = option(
    "--workers", "-j", default="auto", show_default=True, help="Processes that decode and run the trunk."
)
engine = option(
    "--engine",
    default="local",
    show_default=True,
    help="Who runs them: local, inline in this very process, or ray, on a cluster.",
)
machine = all_of(backend, device, workers, engine)
table = all_of(
    option("--image-col", help="Column of a table that names the images. [default: known by its name]"),
    option("--label-col", help="Column of labels; several, as in a,b, of 0 and 1, one a class; none."),
    option("--split-col", help="Column of splits, or none: then the images are dealt."),
    option("--group-col", help="Column of what no dealt split parts, such as patients, or none."),
    option(
        "--root",
        type=Root(exists=True, file_okay=False),
        help="What a table's paths are relative to, a folder or URL. [default: its folder]",
    ),
    option(
        "--task",
        type=choice("multiclass", "ordinal", "multilabel", "regression", "unlabelled"),
        help="What labels are. [default: what they look like]",
    ),
    option("--classes", help="The classes in their order, as in low,mid,high. [default: sorted]"),
)
"""How a table is read, and what labels are; see `fixgrid.embed.sources.reading.Reading`."""

extracts = all_of(
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
    option("--jitter", type=choice("torch", "full"), default="torch", show_default=True, help="FixRes' kinds."),
    resize,
    resampler,
    look,
    scale,
    option(
        "--split",
        type=choice("official", "2020"),
        hidden=True,  # of earlier versions
    ),
    table,
    option("--seed", type=int, default=0, show_default=True, help="Of splits and random crops."),
    backend,
    device,
    option(
        "--precision",
        type=choice("auto", "fp32", "bf16", "fp16"),
        default="auto",
        show_default=True,
        help="Of the trunk's arithmetic.",
    ),
    option(
        "--dtype",
        type=choice("float32", "float16"),
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

_views = all_of(
    resize,
    resampler,
    look,
    scale,
    option("--train-views", type=click.IntRange(1), help="Which, if the cache holds several."),
    option("--seed", type=int, help="Which, if the cache holds several."),
)
reads_features = all_of(
    data,
    cache,
    option(
        "--trunk",
        shell_complete=complete_trunk,
        help="Which, as cache ls calls it; several, or all. [default: the cache's only one]",
    ),
    option("--features", help="Kinds of features: some that were extracted, or all. [default: pooled]"),
    _views,
    option("--train-view", help="Some of train,center,both. [default: train, else what is cached]"),
)
"""Of every command that asks what heads on cached features are worth; see
`fixgrid.feature_requests.FeaturesRequest`."""

_CACHED_TRUNK = "Which, as cache ls calls it. [default: the cache's only one]"
cached_trunk = option("--trunk", shell_complete=complete_trunk, help=_CACHED_TRUNK)
run_cached_trunk = option("--trunk", callback=_expect_asked, help=_CACHED_TRUNK)
_one_res = option("--res", type=click.IntRange(1), help="Resolution in px. [default: the cache's only one]")
names_view = all_of(_one_res, _views)
"""Of a command that takes features of one resolution and look."""
_features = option("--features", help="Kind of features. [default: pooled]")
judges_labels = all_of(
    data,
    cache,
    cached_trunk,
    _features,
    option("--res", type=click.IntRange(1), help="Resolution in px. [default: the cached one nearest 224]"),
    _views,
)
"""Of a command that judges labels; see `fixgrid.auditing.LabelsRequest`."""
names_splits = all_of(
    _features,
    _one_res,
    option("--split", help="Some of train,val,test. [default: all that are cached]"),
    _views,
)
"""Of every command that takes cached features as they are; see `fixgrid.feature_requests.SplitsRequest`."""
