"""A model card: what an exported head is, how it was chosen, how well it does, and what it cannot do. Pure text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fixgrid.cache.errors import CacheError
from fixgrid.cache.scale import Scale
from fixgrid.cache.text import escape_markdown
from fixgrid.cache.view import read_view

from .artifact import SavedHead
from .card_code import CardFacts, fill_use, show_crops
from .conformal import COVERAGE, find_limit
from .judging import name_interval
from .measures import MEASURES
from .metrics import Estimate
from .novelty import LEVEL
from .table import format_estimate
from .zero_shot import FAMILY

_SHOWN_CLASSES = 20
_UNKNOWN = "not recorded"
_HEADINGS = {"softmax": "Classes", "sigmoid": "Labels", "identity": "What its number is"}


def write_card(saved: SavedHead, facts: CardFacts) -> str:
    """The card as Markdown. Names from data are escaped: none of them can add markup."""
    source = escape_markdown(_source(saved))
    parts = [
        f"# {_name_answers(saved)} of {source}",
        f"A linear head on a frozen image trunk, exported by fixgrid {facts.version}.",
        "## How to use it",
        f"```python\n{fill_use(saved, facts)}```",
        "## What it sees",
        _describe_view(saved),
        *show_crops(saved, facts.crops_by),
        "## How well it does",
        _describe_figures(saved),
    ]
    if saved.trunk.get("imagenet_labels"):
        parts.append(f"**{escape_markdown(facts.leak)}**")
    parts += ["## Data", _describe_data(saved), "## Trunk", _describe_trunk(saved, facts)]
    parts += [
        "## How it was chosen",
        _describe_choice(saved),
        f"## {_HEADINGS[saved.link]}",
        _list_classes(saved.classes),
    ]
    parts += ["## What it cannot do", _LIMITS[saved.link] + _MARKED * bool(saved.calibration)]
    return "\n\n".join(parts) + "\n"


def _name_answers(saved: SavedHead) -> str:
    if saved.task == "regression":
        return escape_markdown(saved.classes[0])
    kinds = {"ordinal": "classes in an order", "multilabel": "labels"}
    return f"{len(saved.classes)} {kinds.get(saved.task, 'classes')}"


_OTHERWISE = """\
- Be as right{honest}, on images unlike those above: other cameras, crops or sources.
- Take crops of another size, or made in another way: how good it is depends on both."""
_HONEST = _OTHERWISE.format(honest=", or its probabilities as honest")
_LIMITS = {
    "softmax": f"""\
- Say "none of these": every image gets one of the classes, whatever it shows.
{_HONEST}
- Find or count objects: an image is classified whole.""",
    "sigmoid": f"""\
- Name what is not in its list.
{_HONEST}
- Find or count objects: labels are of the image as a whole.""",
    "identity": f"""\
- Say how sure it is: every image gets a number, whatever it shows.
- Be trusted beyond the numbers that it has learnt from.
{_OTHERWISE.format(honest="")}""",
}


_MARKED = """

Images that are unlike those it learnt from are marked by `fixgrid predict HEAD IMAGE... --unknown`, with the head's
own file; what was exported cannot tell."""


def _describe_view(saved: SavedHead) -> str:
    try:
        scale = Scale.from_decode(saved.trunk.get("decode", {})).describe()
        pixels = f"upright by EXIF, transparency over white; {scale}"
        return _bullets({"Pixels": pixels, **read_view(saved.view).describe()})
    except CacheError:
        return _bullets({"Crop": _UNKNOWN})


def _describe_figures(saved: SavedHead) -> str:
    lines, figures = {}, saved.figures
    measure = MEASURES.get(str(figures.get("metric", "accuracy")))
    units = str(figures.get("units", "images"))
    if measure is None:  # of a later version
        return _UNKNOWN
    title = "Top-1" if measure.name == "accuracy" else measure.heading
    judges = _name_judges(saved)
    for split, name, note in (("val", judges, ", chosen on it"), ("test", "test", ", scored once")):
        estimate, n = _read_estimate(figures.get(split)), figures.get(f"n_{split}")
        on = f" on {n} {units}" if n is not None else ""
        lines[f"{title} on {name}"] = f"{format_estimate(estimate, measure)}{on}{note}" if estimate else _UNKNOWN
    if saved.link != "identity" and figures.get("family") != FAMILY:
        lines["Temperature"] = (
            f"{saved.temperature:.4f}, fitted on {judges}; it divides the scores before the {saved.link}"
        )
    if saved.thresholds is not None:
        lines["Thresholds"] = (
            f"a label is given from a probability of {saved.thresholds.min():.2f} to {saved.thresholds.max():.2f}, "
            f"fitted on {judges} for each"
        )
    lines |= _describe_doubts(saved)
    how = "Wilson 1927" if measure.alone and units == "images" else name_interval(measure, units)
    return _bullets(lines) + f"\n\nIntervals are 95 % ({how})."


def _name_judges(saved: SavedHead) -> str:
    """The images that chose the head: those of val, or what folds held out."""
    folds = saved.figures.get("folds")
    if not folds:
        return "val"
    often = f", dealt {folds['repeats']} times" * (folds["repeats"] > 1)
    return f"what {folds['n']} folds of {' and '.join(folds['of'])} held out in turn{often}"


def _describe_doubts(saved: SavedHead) -> dict[str, str]:
    """Coverage and unknown images on test, and the probability that makes the sets."""
    said, figures = f"{100 * COVERAGE:.0f}", saved.figures
    covered, called = (
        _read_estimate(figures.get(name)) for name in (f"coverage_{said}", f"unknown_{100 * LEVEL:.0f}")
    )
    lines = {}
    if saved.calibration and covered:
        limit = find_limit(saved.calibration.nonconformity, COVERAGE)
        size, on = _read_estimate(figures.get(f"set_size_{said}")), f"{format_estimate(covered)} on test"
        what, more = ("labels", "") if saved.link == "sigmoid" else ("classes", ", and the most probable one")
        more += ", and all between these" * (saved.task == "ordinal")
        lines[f"Coverage of {said} % {'sets' if size else 'intervals'}"] = (
            f"{on}, with {size.value:.2f} {what} on average: all with a probability of {math.exp(-limit):.3g} or "
            f"more{more}"
            if size
            else f"{on}: {limit:.4g} either way"
        )
    if called:
        lines[f"Called unknown at {100 * LEVEL:.0f} %"] = (
            f"{format_estimate(called)} of test, whose classes are known"
        )
    return lines


def _describe_data(saved: SavedHead) -> str:
    lines = {"Name": _source(saved)}
    for split, rows in dict(saved.data.get("splits", {})).items():
        lines[str(split)] = f"{rows.get('images')} images, sha256 {rows.get('rows_sha256')}"
    if saved.trained_on:
        lines["Trained on"] = describe_trained(saved)
    return _bullets(lines)


def describe_trained(saved: SavedHead) -> str:
    """The images that a head learnt from, as ``1,000 images of train and 45 of val``."""
    counts = [(split, rows.get("images", 0)) for split, rows in saved.trained_on.items()]
    said = " and ".join(f"{n:,}{' images' * (i == 0)} of {split}" for i, (split, n) in enumerate(counts))
    dropped = sum(rows.get("dropped", 0) for rows in saved.trained_on.values())
    return said + f", {dropped:,} dropped that val or test holds as well" * bool(dropped)


def _describe_trunk(saved: SavedHead, facts: CardFacts) -> str:
    trunk = saved.trunk
    return _bullets(
        {
            "Name": f"{trunk.get('trunk', _UNKNOWN)} ({trunk.get('architecture', _UNKNOWN)})",
            "Features": f"{saved.head.coef.shape[1]}, {trunk.get('node', _UNKNOWN)}, "
            f"computed in {trunk.get('precision', 'fp32')}",
            "Weights": f"sha256 {trunk.get('weights_sha256', _UNKNOWN)}{_describe_origin(trunk)}",
            "Licence of the weights": facts.licence or "not known to fixgrid: ask their publisher",
        }
    )


def _describe_origin(trunk: Mapping[str, Any]) -> str:
    """How weights that nobody published come from published ones; empty for others."""
    origin = trunk.get("recalibrated")
    if not isinstance(origin, Mapping):
        return ""
    return (
        f": those of sha256 {origin.get('weights_sha256', _UNKNOWN)}, the statistics of the batch norm "
        f"{origin.get('norm', _UNKNOWN)} replaced by those of the training images at "
        f"{origin.get('res', _UNKNOWN)} px"
    )


def _describe_choice(saved: SavedHead) -> str:
    figures = saved.figures
    if figures.get("family") == FAMILY:
        prompts = "; ".join(map(str, figures.get("templates", ())))
        return _bullets(
            {
                "Head": "class names, encoded by the trunk's text tower; no image was learnt from",
                "Prompts": prompts,
                "Features": f"divided by their length, then scored by cosines times {figures.get('logit_scale')}",
            }
        )
    lines = {
        "Resolutions": f"train at {figures.get('train_res', _UNKNOWN)} px, "
        f"test at {figures.get('test_res', _UNKNOWN)} px",
        "Head": f"{figures.get('family', 'logistic')}, strength (C or alpha) {saved.head.strength:.2e}",
    }
    if figures.get("correction", "none") != "none":
        lines["Correction of the resolution gap"] = str(figures["correction"])
    if figures.get("tried"):
        lines["Tried"] = f"{len(figures['tried'])} pairs of resolutions: {', '.join(map(str, figures['tried']))} px"
    if figures.get("search"):
        lines["Search of the strength"] = str(figures["search"])
    return f"{_bullets(lines)}\n\nBoth were chosen on {escape_markdown(_name_judges(saved))}; test had no say."


def _list_classes(classes: Sequence[str]) -> str:
    shown = ", ".join(escape_markdown(name) for name in classes[:_SHOWN_CLASSES])
    more = len(classes) - _SHOWN_CLASSES
    return shown + (f" and {more} more, in the order of the file's own list." if more > 0 else ".")


def _source(saved: SavedHead) -> str:
    return str(saved.data.get("source", "a data set whose name was not recorded"))


def _read_estimate(record: Any) -> Estimate | None:
    try:
        return Estimate(*(math.nan if record[name] is None else float(record[name]) for name in Estimate._fields))
    except (KeyError, TypeError, ValueError):
        return None


def _bullets(lines: Mapping[str, str]) -> str:
    return "\n".join(f"- {escape_markdown(name)}: {escape_markdown(text)}" for name, text in lines.items())
