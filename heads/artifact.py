"""A chosen head on disk: coefficients as safetensors, everything one needs to know about them as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.rows import TASKS

from .calibration import Calibration
from .gap import Correction
from .linear import LinearHead

FORMAT = "fixgrid-head-1"
OTHER_LABELS = "fixgrid-head-2"
"""Of heads on labels that are not of one class, or on normalised features: earlier versions must not take them for
others."""
_FACTS = ("keys", "trunk", "view", "figures")
_LATER_FACTS = ("data", "asked", "trained_on")  # earlier heads lack some
_VECTORS = ("centre", "ratio", "target")  # of a correction
_CALIBRATION = {"nonconformity": "val_nonconformity", "novelty": "val_novelty", "means": "class_means"}


@dataclass(frozen=True, eq=False)
class SavedHead:
    """A linear head with its provenance.

    Attributes
    ----------
    head : LinearHead
        ``coef`` (K, D) and ``intercept`` (K,) float32 on raw features; ``strength`` is C.
    classes : tuple of str, length K
    temperature : float
        Divides the logits before a softmax; fitted on val, 1 if it was not.
    keys : dict
        Cache keys of the features it was fitted, chosen and scored on, by split.
    trunk, view : dict
        What a later run needs to compute features for it, as the caller describes it. ``view`` is empty where there
        are several.
    views : list of dict
        All of them, if an image is seen at several resolutions; else empty.
    corrections : tuple of Correction
        Of the features of each of ``views``; empty if there is nothing to correct that ``head`` does not.
    figures : dict
        Accuracies with their intervals, and how the head was chosen.
    data : dict
        ``source``, and for each of ``splits`` its number of images, their digest and that of their labels.
    asked : dict
        The options that were asked for, which tell it from other heads; empty of heads of earlier versions, as is
        the next.
    trained_on : dict
        By split the number of images that it learnt from, the digest of their rows, and how many were dropped.
    task : str
        What it answers, of `fixgrid.cache.rows.TASKS`: a class, several, or a number, which the scores are.
    thresholds : float32 array, shape (K,), or None
        Probability from which each of several classes is given, fitted on val.
    normalised : bool
        Whether it takes features divided by their length (L2), as those of a text tower do.
    calibration : Calibration or None
        What val says of answers at a stated coverage and of unknown images; None of heads of earlier versions, and
        of class names.
    """

    head: LinearHead
    classes: tuple[str, ...]
    temperature: float = 1.0
    keys: dict[str, Any] = field(default_factory=dict)
    trunk: dict[str, Any] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    views: list[dict[str, Any]] = field(default_factory=list)
    corrections: tuple[Correction, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict)
    trained_on: dict[str, Any] = field(default_factory=dict)
    task: str = TASKS[0]
    thresholds: NDArray[np.float32] | None = None
    normalised: bool = False
    calibration: Calibration | None = None

    def expect_calibration(self, option: str) -> Calibration:
        """What val says of it.

        Raises
        ------
        UsageError
            If its file does not say; ``option`` is what asked.
        """
        if self.calibration is None:
            made = self.normalised
            raise UsageError(
                f"found {option} for a head "
                + ("of class names, which no image has calibrated; " if made else "of an earlier version; ")
                + "expected one whose file has what val says of its answers: "
                + ("fit one by fit-head." if made else "fit the head again by fit-head.")
            )
        return self.calibration

    @property
    def link(self) -> str:
        """What makes answers of scores, see `heads.metrics.read_link`."""
        return {"multilabel": "sigmoid", "regression": "identity"}.get(self.task, "softmax")

    @property
    def seen(self) -> list[dict[str, Any]]:
        """Every view of an image whose features the head takes."""
        return self.views or [self.view]


def save_head(stem: Path, saved: SavedHead) -> tuple[Path, Path]:
    """Write ``<stem>.safetensors``, then ``<stem>.json``; each whole or not at all.

    The JSON holds the digest of the tensors it belongs to, so a crash between the two is noticed on load.

    Returns
    -------
    tuple of Path
        The two files.

    Raises
    ------
    DiskError
        If a write fails.
    """
    tensors = {
        "coef": np.ascontiguousarray(saved.head.coef, np.float32),
        "intercept": np.ascontiguousarray(saved.head.intercept, np.float32),
        "temperature": np.array([saved.temperature], np.float32),
    }
    if saved.corrections:
        parts = [[getattr(part, name) for name in _VECTORS] for part in saved.corrections]
        tensors["corrections"] = np.array(parts, np.float32)
    if saved.thresholds is not None:
        tensors["thresholds"] = np.ascontiguousarray(saved.thresholds, np.float32)
    if saved.calibration:
        tensors |= {
            tensor: np.ascontiguousarray(getattr(saved.calibration, name), np.float32)
            for name, tensor in _CALIBRATION.items()
        }
    data = safetensors.numpy.save(tensors)
    record = {
        "format": FORMAT if saved.task == TASKS[0] and not saved.normalised else OTHER_LABELS,
        "tensors_sha256": hashlib.sha256(data).hexdigest(),
        "C": saved.head.strength,
        "classes": list(saved.classes),
        **{name: getattr(saved, name) for name in (*_FACTS, *_LATER_FACTS)},
        **({"views": saved.views} if saved.views else {}),
        **({"task": saved.task} if saved.task != TASKS[0] else {}),
        **({"normalised": True} if saved.normalised else {}),
        **({"val_alone": saved.calibration.alone} if saved.calibration and saved.calibration.alone else {}),
    }
    files = name_files(stem)
    commit_bytes(files[0], data)
    commit_bytes(files[1], (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())
    return files


def load_head(stem: Path) -> SavedHead:
    """The head that `save_head` wrote, or a refusal; never a head that differs from it.

    Parameters
    ----------
    stem : Path
        As given to `save_head`, or either file.

    Raises
    ------
    CacheError
        If a file is missing, of another format, or does not fit the other.
    """
    tensor_file, record_file = name_files(stem)
    try:
        data, text = read_file(tensor_file), read_file(record_file)
    except OSError as error:
        raise _refusal(stem, f"{error.filename}: {error.strerror}") from error
    try:
        record = json.loads(text)
    except ValueError as error:
        raise _refusal(stem, f"{record_file} is not JSON") from error
    if not isinstance(record, dict) or record.get("format") not in (FORMAT, OTHER_LABELS):
        raise _refusal(stem, f"{record_file} is not of format {FORMAT} or {OTHER_LABELS}")
    if hashlib.sha256(data).hexdigest() != record.get("tensors_sha256"):
        raise _refusal(stem, f"{tensor_file} is not the file that {record_file} describes")
    try:
        return _build_head(safetensors.numpy.load(data), record)
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise _refusal(stem, f"{type(error).__name__}: {error}") from error


def _build_head(tensors: dict[str, NDArray[np.float32]], record: dict[str, Any]) -> SavedHead:
    classes = tuple(str(name) for name in record["classes"])
    coef, views = tensors["coef"], [dict(view) for view in record.get("views", [])]
    shapes = {"coef": (len(classes), coef.shape[-1]), "intercept": (len(classes),), "temperature": (1,)}
    if "corrections" in tensors:
        shapes["corrections"] = len(views), len(_VECTORS), coef.shape[-1]
    if "thresholds" in tensors:
        shapes["thresholds"] = (len(classes),)
    if calibrated := _CALIBRATION["means"] in tensors:
        lengths = {tensor: (len(tensors[tensor]),) for tensor in _CALIBRATION.values()}
        shapes |= {**lengths, _CALIBRATION["means"]: (len(tensors[_CALIBRATION["means"]]), coef.shape[-1])}
    task = str(record.get("task", TASKS[0]))
    if task not in TASKS[:-1]:
        raise ValueError(f"expected a task of {', '.join(TASKS[:-1])}, found {task}")
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.dtype != np.float32 or tensor.shape != shape or not np.isfinite(tensor).all():
            raise ValueError(f"expected finite float32 {shape}, found {tensor.dtype} {tensor.shape}")
    head = LinearHead(coef, tensors["intercept"], float(record["C"]))
    facts: dict[str, Any] = {name: dict(record[name]) for name in _FACTS}
    facts |= {name: dict(record.get(name, {})) for name in _LATER_FACTS}
    corrections = tuple(Correction(*vectors) for vectors in tensors.get("corrections", ()))
    facts |= {"views": views, "corrections": corrections, "task": task, "thresholds": tensors.get("thresholds")}
    facts["normalised"] = record.get("normalised") is True
    if calibrated:
        alone = float(record["val_alone"]) if "val_alone" in record else None
        if alone is not None and not 1 <= alone <= len(tensors[_CALIBRATION["novelty"]]):
            raise ValueError(f"expected a val_alone of 1 or more, not above the images of val, found {alone}")
        kept = {name: tensors[tensor] for name, tensor in _CALIBRATION.items()}
        facts["calibration"] = Calibration(**kept, alone=alone)
    return SavedHead(head, classes, float(tensors["temperature"][0]), **facts)


def save_coefficients(
    stem: Path, saved: SavedHead, preprocess: Mapping[str, Any] | None = None
) -> tuple[Path, Path]:
    """Write ``<stem>.safetensors`` and ``<stem>.json`` with what scikit-learn's linear models are made of.

    Tensors ``coef_`` (K, D) and ``intercept_`` (K,), of two classes the difference (1, D) and (1,) as scikit-learn
    has it; ``classes_`` and ``temperature`` in the JSON. Both tensors over the temperature give calibrated
    probabilities: of one class those of a LogisticRegression, of several the sigmoid of each; of numbers they are a
    Ridge's. `preprocess` goes into the JSON.

    Raises
    ------
    DiskError
        If a write fails.
    """
    coef, intercept = saved.head.coef, saved.head.intercept
    if len(saved.classes) == 2 and saved.link == "softmax":
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    record = {
        "classes_": list(saved.classes),
        "task": saved.task,
        **({} if saved.thresholds is None else {"thresholds": saved.thresholds.tolist()}),
        "temperature": saved.temperature,
        "C": saved.head.strength,
        "trunk": saved.trunk,
        "view": saved.view,
        **({"preprocess": dict(preprocess)} if preprocess else {}),
    }
    files = name_files(stem)
    tensors = {"coef_": np.ascontiguousarray(coef), "intercept_": np.ascontiguousarray(intercept)}
    commit_bytes(files[0], safetensors.numpy.save(tensors))
    commit_bytes(files[1], (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())
    return files


def name_files(stem: Path) -> tuple[Path, Path]:
    """The two files of a head: tensors, then record. `stem` may be either of them."""
    name = stem.name.removesuffix(".json").removesuffix(".safetensors")
    return stem.with_name(name + ".safetensors"), stem.with_name(name + ".json")


def _refusal(stem: Path, why: str) -> CacheError:
    return CacheError(f"no usable head at {stem}: {why}. Run fit-head again to write it.")
