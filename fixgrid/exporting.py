"""Export: trunk and head as one file for other programs, with a model card beside it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .cache.disk import commit_bytes, expect_writable
from .cache.errors import UsageError
from .cache.view import read_view
from .embed.trunks.catalogue import find_licence
from .embed.trunks.library import find_use
from .embed.watcher import Quiet, Watcher
from .heads.artifact import SavedHead, load_head, name_files, save_coefficients
from .heads.card import write_card
from .heads.card_code import CardFacts
from .heads.crops import describe_preprocess
from .heads.leak import LEAK
from .heads.uses import CROPS_BY, list_uses, say_answers
from .keeping import find_head
from .recording import records
from .seeing import find_own

if TYPE_CHECKING:
    from torch import nn

    from .embed.trunks.own import OwnTrunk

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors", "sklearn": ".safetensors"}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    file, card : Path
    distance : float or None
        Largest difference of an answer from the trunk's and head's own, on a probe; None of a head alone.
    """

    file: Path
    card: Path
    distance: float | None


def _summarise(done: Exported) -> dict[str, Any]:
    return {"file": str(done.file), "card": str(done.card), "distance": done.distance}


@records(_summarise)
def export(
    head: str | Path,
    to: str,
    out: str | Path,
    *,
    trunk: str | nn.Module | OwnTrunk | None = None,
    weights: str | Path | None = None,
    cache: str | Path = "features",
    watcher: Watcher | None = None,
) -> Exported:
    """Write trunk and head for other programs, with a model card beside the file.

    Parameters
    ----------
    head : str or Path
        As `fixgrid.predict` takes it.
    to : {"onnx", "torch", "safetensors", "sklearn"}
        ``onnx`` and ``torch`` take uint8 RGB crops (B, R, R, 3) and give probabilities; ``safetensors`` is a state
        dict for the trunk's library; ``sklearn`` is the head alone. What has a trunk is run against it before it is
        kept.
    out : str or Path
    trunk : str, nn.Module or OwnTrunk, optional
        As `fixgrid.predict` takes it.
    weights : str or Path, optional
        Where a named trunk's weights are now.
    cache : str or Path
        Keeps the record of this run, if it is there.
    watcher : Watcher, optional

    Raises
    ------
    FixgridError
        If the head cannot be exported so; nothing is written then.
    """
    if to not in SUFFIXES:
        raise UsageError(f"found --to {to!r}; expected one of {', '.join(SUFFIXES)}.")
    out, head = Path(out).expanduser(), find_head(head, cache, watcher or Quiet())
    saved = load_head(head)
    if saved.views:
        seen = "+".join(str(view.get("res")) for view in saved.views)
        raise UsageError(
            f"found a head that averages each image at {seen} px; expected one test resolution, since a file takes "
            "one crop: fit another with fit-head --pairs TRAIN:TEST."
        )
    if saved.normalised and to in ("safetensors", "sklearn"):
        raise UsageError(
            f"found a head on features divided by their length, which --to {to} has no place for; expected --to "
            "onnx or torch."
        )
    name = re.sub(r"\.(onnx|pt2|safetensors|json|md)$", "", out.name)
    if not name:
        raise UsageError(f"found --out {out}; expected a file's name, with or without {SUFFIXES[to]}.")
    stem = out.with_name(name)
    files = [stem.with_name(stem.name + end) for end in (SUFFIXES[to], ".json", SUFFIXES[to] + ".md")]
    if not {file.resolve() for file in name_files(head)}.isdisjoint(file.resolve() for file in files):
        raise UsageError(f"{out} would replace the head itself; name another --out.")
    expect_writable(files[0])
    distance, use = None, list_uses(saved.link).get(to, "")
    if to == "sklearn":
        save_coefficients(stem, saved, describe_preprocess(saved.view, saved.trunk.get("decode", {})))
    else:
        distance, architecture = _export_network(saved, to, stem, files[0], trunk, weights, watcher or Quiet())
        use = use or find_use(architecture) + say_answers(saved.link)
    licence = find_licence(str(saved.trunk.get("trunk")))
    facts = CardFacts(use, files[0].name, files[1].name, licence, LEAK, __version__, CROPS_BY.get(to, ""))
    commit_bytes(files[2], write_card(saved, facts).encode())
    return Exported(files[0], files[2], distance)


def _export_network(
    saved: SavedHead,
    to: str,
    stem: Path,
    file: Path,
    own: str | nn.Module | OwnTrunk | None,
    weights: str | Path | None,
    watcher: Watcher,
) -> tuple[float, str]:
    """Write trunk and head together; how far it is off, and the trunk's architecture."""
    from .embed.export import Classifier, expect_center, export_onnx, export_torch
    from .embed.export_state import describe_timm, export_state
    from .embed.replica import open_trunk

    view = read_view(saved.view)
    expect_center(view)
    given = find_own(saved.trunk, own, weights, watcher)
    watcher.phase(f"loading {saved.trunk.get('trunk')}")
    trunk = open_trunk(saved.trunk, view, Path(weights).expanduser() if weights else None, given)
    head = saved.head.coef, saved.head.intercept, saved.temperature
    preprocess = describe_preprocess(saved.view, saved.trunk.get("decode", {}))
    classifier = Classifier(trunk, *head, view.res, saved.link, saved.normalised)
    if to == "safetensors" and saved.link != "softmax":
        raise UsageError(
            f"found a head on {saved.task} labels; expected one of one class, as the state dict's library has it: "
            "choose --to onnx, torch or sklearn."
        )
    if to == "safetensors":
        find_use(trunk.architecture)  # refused before anything is written
        record = describe_timm(trunk.architecture, view, saved.classes, saved.temperature)
        record["preprocess"] = preprocess
        return export_state(classifier, trunk.architecture, view.res, record, stem), trunk.architecture
    facts = {
        "classes": json.dumps(saved.classes),
        "resolution": str(view.res),
        "view": json.dumps(view.to_spec()),
        "preprocess": json.dumps(preprocess),
        "trunk": trunk.name,
        "architecture": trunk.architecture,
        "weights_sha256": trunk.weights_sha256,
        "temperature": repr(saved.temperature),
        "task": saved.task,
        **({} if saved.thresholds is None else {"thresholds": json.dumps(saved.thresholds.tolist())}),
        "fixgrid_version": __version__,
    }
    watcher.phase(f"writing and checking {file.name}")
    write = export_onnx if to == "onnx" else export_torch
    return write(classifier, view.res, facts, file), trunk.architecture
