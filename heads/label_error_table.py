"""Doubtful labels as a table, Markdown, CSV or JSON, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixgrid.cache.text import escape_markdown, format_records, show_label, show_path, show_text, write_path

from .label_errors import Ranking

SHOWN = 20
"""Lines that are shown at least, if all are not asked for."""


def format_ranking(found: Ranking, style: str, top: int | None = None) -> str:
    """The suspects, at least `SHOWN` lines, or the first ``top``, in one of `heads.table.FORMATS`.

    JSON and CSV have probabilities as they are; JSON and the rest show paths as `format_twins` does.
    """
    shown = range(min(len(found), max(found.n_suspect, SHOWN) if top is None else top))
    if style in ("csv", "json"):
        so_far = np.cumsum(found.p_random[: len(shown)]).tolist()
        return format_records([_describe(found, i, style, so_far[i]) for i in shown], style)
    records = [_shorten(found, i, style) for i in shown]
    return format_records(records, style, broken=("given", "likely", "path", "equal file"))


def name_label(found: Ranking, i: int, which: str) -> str:
    """The ``given`` or the ``likely`` label of a line, for people."""
    value, manifest = getattr(found, which)[i], found.manifest
    if manifest.task == "multilabel":
        return f"{'' if value else 'not '}{manifest.classes[found.label[i]]}"
    return f"{value:.4g}" if manifest.task == "regression" else manifest.classes[value]


def name_twin(found: Ranking, i: int) -> tuple[bytes, str] | None:
    """Path and label of the file of equal bytes that has another label."""
    if (twin := found.twin[i]) is None:
        return None
    rows = found.manifest.splits[twin[0]]
    return rows.paths[twin[1]], show_label(found.manifest.name_label(rows.labels[twin[1]]))


def _describe(found: Ranking, i: int, style: str, so_far: float) -> dict[str, Any]:
    """All of a line, for programs."""
    task, twin = found.manifest.task, name_twin(found, i)
    name = str if style == "json" else show_text
    said: dict[str, Any] = {"rank": i + 1, "path": write_path(found.path(i), style), "split": str(found.split[i])}
    if task == "regression":
        said |= {name: float(getattr(found, name)[i]) for name in ("given", "likely", "off")}
    elif task == "multilabel":
        said |= {"label": name(found.manifest.classes[found.label[i]]), "given": bool(found.given[i])}
    else:
        said |= {which: name(name_label(found, i, which)) for which in ("given", "likely")}
    if task != "regression":
        said |= {name: float(getattr(found, name)[i]) for name in ("p_given", "p_likely", "p_random")}
        said["random_so_far"] = so_far
    return {**said, "suspect": bool(found.suspect[i]), "equal_file": write_path(twin[0], style) if twin else None}


def _shorten(found: Ranking, i: int, style: str) -> dict[str, Any]:
    """What a person needs of a line."""
    escape = escape_markdown if style == "md" else str
    given, likely = (escape(show_label(name_label(found, i, which))) for which in ("given", "likely"))
    said: dict[str, Any] = {"": i + 1}
    if found.share is None:
        said |= {"given": given, "likely": likely, "off": f"{found.off[i]:+.1f}"}
    else:
        chances = ((given, found.p_given[i]), (likely, found.p_likely[i]))
        given, likely = (f"{name} {100 * chance:.1f}%" for name, chance in chances)
        said |= {"given": given, "likely": likely}
    said["path"] = escape(show_path(found.path(i)))
    if any(found.twin):
        twin = name_twin(found, i)
        said["equal file"] = escape(f"{show_path(twin[0])}: {twin[1]}") if twin else ""
    return said


def say_ranking(found: Ranking, res: int, folds: int) -> list[str]:
    """What was judged, how many labels are probably wrong, and what that does not mean."""
    splits = list(found.manifest.splits)
    learns = " and ".join(split for split in splits if split != "test")
    test = f", those of test by a head of {learns}" * ("test" in splits)
    said = [
        f"{len(found)} labels at {res} px, each judged by a head that did not learn from it: {folds} folds of "
        f"{learns}{test}."
    ]
    if found.unjudged:
        said.append(f"{found.unjudged} labels not judged: no other image to learn them from.")
    if torn := sum(twin is not None for twin in found.twin):
        said.append(f"{torn} labels differ from those of an equal file: they come first, one of each is wrong.")
    return [*said, *say_noise(found)]


def say_noise(found: Ranking) -> Sequence[str]:
    """How many labels are probably wrong, as far as heads can tell."""
    if found.share is None:
        return [f"{found.n_suspect} numbers are 3.5 robust standard deviations off or more; look before you mend."]
    n, total = len(found), round(float(found.p_random.sum()))
    low, high = (round(n * end) for end in (found.share.low, found.share.high))
    named = found.n_suspect
    few = f"The {found.borrowed} of test are too few to be counted alone: they are doubted as the others are."
    some = f"About {total} ({low} to {high}, 95 %) look as if drawn at random; {named} more likely than not."
    return [
        some if total or found.n_suspect else f"None of them looks drawn at random (at most {high}, 95 %).",
        *[few] * bool(found.borrowed),
        "Labels of look-alikes that were taken for each other cannot be counted, since they look like a head's own "
        "mistakes: go down the list until its labels are right, and mend none unseen.",
    ]
