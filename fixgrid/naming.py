"""Zero-shot heads: classes by their names, through the text tower of the trunk that gave the features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .asking import takes
from .cache.errors import DataError
from .cache.features import FeatureSet
from .cache.holdings import Holdings
from .cache_requests import ZeroShotRequest
from .embed.sizing import Machine
from .embed.trunks.text_tower import encode_classes
from .freshness import say_changes
from .heads.artifact import SavedHead
from .heads.figures import HeadFigures
from .heads.kept import describe_rows
from .heads.measuring import measure_head
from .heads.predictions import score_images
from .heads.zero_shot import FAMILY, build_head, format_zero_shot, read_names, write_prompts
from .keeping import keep_head
from .recording import records
from .seeing import Replica


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """A head of class names that is kept.

    Attributes
    ----------
    saved : SavedHead
    figures : HeadFigures or None
        On test; None where the labels are none, or not of these classes.
    record : dict
        How it was made and how it did, as its file has it.
    files : (Path, Path)
        Coefficients and record.
    """

    saved: SavedHead
    figures: HeadFigures | None
    record: dict[str, Any]
    files: tuple[Path, Path]

    def format(self, style: str = "table") -> str:
        """As ``table``, ``md``, ``csv`` or ``json``."""
        return format_zero_shot(self.record, self.figures, style)


def _summarise(made: ZeroShot) -> dict[str, Any]:
    return {"files": [str(file) for file in made.files], **made.record}


@takes(ZeroShotRequest)
@records(_summarise)
def zero_shot(request: ZeroShotRequest) -> ZeroShot:
    """Make a head of class names by the text tower of an open_clip trunk, and keep it.

    No image is learnt from. Where test has labels of these classes, it is scored once. Arguments are those of
    `ZeroShotRequest`.

    Raises
    ------
    FixgridError
        If the trunk has no text tower, the cache lacks its projected features, or there are no names.
    """
    templates = request.list_templates()
    write_prompts((), templates)  # refused before anything is read
    holdings, res = request.choose()
    say_changes(holdings, request.folder, request.watcher)
    names = read_names(_list_classes(request, holdings))
    prompts = write_prompts(list(names.values()), templates)
    request.watcher.settle(prompts=(f"{len(templates)} a class, such as {prompts[0][0]}", f"{len(names)} classes"))
    entry = holdings.entry("test", "center", res)
    described, view = entry.describe_trunk(), dict(entry.spec.view)
    # Refused here if the trunk's weights are not those that gave the features.
    Replica(described, [view], None, None, request.folder, Machine(), request.watcher)
    weights = described.get("weights")
    texts = encode_classes(str(described["trunk"]), Path(str(weights)) if weights else None, prompts)
    rows = holdings.manifest.splits["test"]
    saved = SavedHead(
        build_head(*texts),
        tuple(names),
        keys={"test": [entry.spec.key]},
        trunk=described,
        view=view,
        data={"source": holdings.manifest.source, "splits": {"test": describe_rows(rows)}},
        asked={FAMILY: {"words": list(names.values()), "templates": list(templates)}},
        normalised=True,
    )
    figures = _score(saved, holdings, holdings.load("test", "center", res), request)
    record: dict[str, Any] = {
        "family": FAMILY,
        "train_res": "text",
        "test_res": res,
        "classes": len(names),
        "templates": list(templates),
        "logit_scale": texts.scale,
    }
    if figures:
        measured = {figure.name: figure.value.record() for figure in figures.figures}
        record |= {"test": measured[figures.main.name], "n_test": figures.n, **measured}
    saved.figures.update(record)
    out = Path(request.out).expanduser() if request.out else None
    return ZeroShot(saved, figures, record, keep_head(saved, holdings, request.folder, out, request.watcher))


def _list_classes(request: ZeroShotRequest, holdings: Holdings) -> Sequence[str]:
    """The classes that are named, or those of the data set."""
    named = request.list_classes()
    if named is not None:
        return named
    if holdings.manifest.task not in ("multiclass", "ordinal", "multilabel"):
        raise DataError(
            f"found no class names in {holdings.manifest.source}; expected some: --classes cat,dog, or a file with "
            "one on each line."
        )
    return holdings.manifest.classes


def _score(saved: SavedHead, holdings: Holdings, test: FeatureSet, request: ZeroShotRequest) -> HeadFigures | None:
    """How the head does on test, where each label is one of its classes."""
    manifest = holdings.manifest
    unknown = sorted(set(manifest.classes) - set(saved.classes))
    if manifest.task not in ("multiclass", "ordinal") or unknown:
        why = f"{unknown[0]} is none of the classes" if unknown else f"its labels are {manifest.task}"
        if manifest.task == "unlabelled":
            why = "it has no labels"
        request.watcher.notice(f"note: {manifest.source} is not scored: {why}")
        return None
    place: Mapping[str, int] = {name: k for k, name in enumerate(saved.classes)}
    index = np.array([place[name] for name in manifest.classes], np.int64)
    scores = score_images(saved, test.X)
    return measure_head(scores, index[test.y], saved.classes, task="multiclass", group=test.group)
