"""Requests: what to extract, and how the images are to be seen, each argument declared and documented once.

What is asked of a cache is in `fixgrid.feature_requests` and `fixgrid.cache_requests`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache.health import find_exposure
from .cache.mirror import open_folder
from .cache.scale import Scale, read_scale
from .cache.store import FeatureStore
from .embed.request import Wanted, read_resolutions
from .embed.sizing import Machine
from .embed.sources.reading import Reading
from .embed.trunks.look import read_look
from .embed.watcher import Quiet, Watcher

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """How a table is read, and what labels are, where that is not what they look like.

    Attributes
    ----------
    image_col, label_col, split_col, group_col : str
        Columns of a table where their names do not say it: of the images' paths, of labels (several, as in
        ``"cat,dog"``, of 0 and 1, one a class), of splits, and of what no deal of splits may part, such as
        patients; ``none`` for no column.
    root : str or Path
        What the paths of a table are relative to; its own folder if not given.
    task : {"multiclass", "ordinal", "multilabel", "regression", "unlabelled"}, optional
        What labels are, in place of what they look like.
    classes : str or sequence of str
        The classes in their order, as in ``"low,mid,high"``.
    """

    image_col: str | None = None
    label_col: str | Sequence[str] | None = None
    split_col: str | None = None
    group_col: str | None = None
    root: str | Path | None = None
    task: str | None = None
    classes: str | Sequence[str] | None = None

    @property
    def reading(self) -> Reading:
        """How a table is to be read, and what labels are."""
        columns = self.image_col, self.label_col, self.split_col, self.group_col
        return Reading.read(*columns, self.root, self.task, self.classes)


@dataclass(frozen=True)
class Request(TableRequest):
    """What to extract: images, seen by a trunk, at resolutions.

    Attributes
    ----------
    data : str or Path, optional
        A folder, a table, ``stanford-dogs``, ``stanford-dogs:2020``, ``torchvision:NAME`` or ``sample``; the
        cache's only data set, else the sample, if not given.
    limit : int or str, optional
        So many of its images, or a share as in ``"10%"``: the first in an order drawn from their contents, of every
        class in every split its share. The data set is then called as in ``photos@500``.
    trunk : str, nn.Module or OwnTrunk, or several of them, optional
        A name, see `fixgrid.models`, or your own, from normalised float32 (B, 3, R, R) to features (B, D): a
        module, ``FILE.py:function`` that builds one, or ``FILE.onnx``. Several, as in ``"resnet18,resnet50"`` or a
        list, see each image once it is decoded.
    weights : str or Path, optional
        State dict in place of the published weights of a named trunk, or for what ``FILE.py:function`` builds.
    name : str, optional
        What you call the trunk with these weights, which later commands then take as their `trunk`.
    res : int, str or sequence of int, optional
        Resolutions in px, as in ``"224,320"``; the trunk's own if not given.
    train_views : int
        Random crops per training image.
    views : str or sequence of str
        More views: some of ``val_train``, ``whole``, ``five``, ``ten``.
    features : str or sequence of str
        Kinds of features, all from one pass: see `fixgrid.embed.trunks.nodes.read_parts`.
    jitter, resize, resampler, seed
        See `fixgrid.cache.view.View`.
    mean, std : str, number or three numbers, optional
        What pixels in 0..1 are normalised by, for R, G and B or all of them, in place of what the weights' own
        metadata says; so are the next three.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos"}, optional
    crop_ratio : float or str, optional
        Crop side over resized side.
    crop_mode : {"center", "squash", "border"}, optional
        See `fixgrid.cache.view.View`.
    scale : float or str, optional
        Of images above 8 bits: the value that is white, as 4095, or those that are black and white, as
        ``"-1000:400"``; all 16 bits if not given.
    split : {"2020"}, optional
        Deprecated: part of `data` now, as in ``stanford-dogs:2020``.
    dtype : {"float32", "float16"}
        Of the features as stored.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the trunk's arithmetic; fp32 on a CPU.
    backend, device, workers, engine : str
        How this machine is used, which changes no number: see `fixgrid.embed.sizing.Machine`.
    max_bad : float or str
        Share of images that may be unusable, as in ``.01`` or ``"1%"``.
    strict : bool
        Fail at the first unusable image.
    follow_links : bool
        Follow links that stay inside the data folder.
    rehash : bool
        Read every file again, also those that look untouched.
    recalibrate : bool
        Also see val and test with the last batch norm recalibrated at each resolution.
    cache : str or Path
        Folder of the features, or ``s3://BUCKET/NAME`` (also ``gs:``, ``az:``): see `fixgrid.cache.mirror`.
    watcher : Watcher
        Is told how far it is; by default notices go to the logger ``fixgrid``.
    """

    data: str | Path | None = None
    _: KW_ONLY
    limit: int | str | None = None
    trunk: str | nn.Module | OwnTrunk | Sequence[str | nn.Module | OwnTrunk] | None = None
    weights: str | Path | None = None
    name: str | None = None
    res: int | str | Sequence[int] | None = None
    train_views: int = 2
    views: str | Sequence[str] = ()
    features: str | Sequence[str] = "pooled"
    jitter: str = "torch"
    resize: str | None = None
    resampler: str | None = None
    mean: str | float | Sequence[float] | None = None
    std: str | float | Sequence[float] | None = None
    interpolation: str | None = None
    crop_ratio: float | str | None = None
    crop_mode: str | None = None
    scale: float | str | None = None
    split: str | None = None
    seed: int = 0
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    dtype: str = "float32"
    workers: int | str = "auto"
    engine: str = "local"
    max_bad: float | str = "1%"
    strict: bool = False
    follow_links: bool = False
    rehash: bool = False
    recalibrate: bool = False
    cache: str | Path = "features"
    watcher: Watcher = field(default_factory=Quiet, compare=False, repr=False)

    @property
    def folder(self) -> Path:
        """The cache, ``~`` expanded; of one in a bucket its mirror, as the bucket is now."""
        return open_folder(self.cache)

    @property
    def machine(self) -> Machine:
        """How to use this machine; the device is one that is there."""
        return Machine(self.backend, self.device, str(self.workers), self.engine).resolve()

    @property
    def look(self) -> dict[str, Any]:
        """What is said here of the pixels, in place of the weights' own metadata; see `read_look`."""
        return read_look(self.mean, self.std, self.interpolation, self.crop_ratio, self.crop_mode)

    @property
    def bounds(self) -> Scale:
        """The scale of images above 8 bits."""
        return read_scale(self.scale)

    @property
    def wanted(self) -> Wanted:
        """How to see the images."""
        kinds = self.views.split(",") if isinstance(self.views, str) else self.views
        return Wanted(
            read_resolutions(self.res),
            self.train_views,
            self.jitter,
            tuple(kind for kind in kinds if kind),
            self.resize or "short-side",
            self.resampler or "pillow",
            self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class ExtractRequest(Request):
    """How much of it at once.

    Attributes
    ----------
    part : str, optional
        One of N parts of the images, ``"0/4"`` to ``"3/4"``, for processes on one machine or many that share the
        cache; ``"auto"`` asks the scheduler's variables, see `fixgrid.embed.portion.read_portion`. Nothing is
        sealed; the same call without it does that once all are done.
    ray_address : str, optional
        Of the Ray cluster whose machines do it, ``"auto"`` or HOST:PORT; the variable ``RAY_ADDRESS`` if not given,
        else a cluster of this machine alone, which is ``"local"``.
    gpus_per_worker : float, optional
        Of the cluster, for each worker; 1 where `device` is cuda, else 0.
    """

    part: str | None = None
    ray_address: str | None = None
    gpus_per_worker: float | None = None

    @property
    def machine(self) -> Machine:
        """How to use this machine and those of a cluster."""
        address = self.ray_address or (os.environ.get("RAY_ADDRESS") if self.engine == "ray" else None)
        here = super().machine
        return replace(here, ray_address=address or "", gpus_per_worker=self.gpus_per_worker).resolve()


@dataclass(frozen=True, kw_only=True)
class PlanRequest(Request):
    """What to plan.

    Attributes
    ----------
    calibrate : bool
        Time the trunk on a few images first, and remember how fast it is.
    slurm : int, optional
        So many parts: list the images into the cache, and write a script that has Slurm run and seal them.
    """

    calibrate: bool = False
    slurm: int | None = None


def open_cache(folder: Path, watcher: Watcher) -> FeatureStore:
    """The cache, with a notice if anyone may put features of their own into it."""
    watcher.phase("looking at the cache")
    store = FeatureStore(folder)
    for found, cure in find_exposure(store)[:1]:
        watcher.notice(f"warning: {found}: {cure}")
    return store
