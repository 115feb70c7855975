"""What folds and splits dealt anew found, as a table for a terminal, Markdown, CSV or JSON. Pure text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from fixgrid.cache.text import WIDTH, format_records, to_csv

from .contender import name_contenders
from .judging import name_interval
from .nested import Nested, Round
from .resplit import Resplits
from .table import format_estimate, record_estimate, show_interval


def format_nested(nested: Nested, style: str, warning: str = "") -> str:
    """A nested cross-validation in one of `FORMATS`, ending in a newline; CSV has its outer folds."""
    measure = nested.measure
    records = [_record_round(i, one, nested) for i, one in enumerate(nested.rounds, 1)]
    names = name_contenders([*nested.contenders, *nested.chosen])
    chosen = [{**one.facts, "folds": count} for one, count in nested.chosen.most_common()]
    if style == "json":
        figure = record_estimate(measure.name, nested.figure)
        of = {"metric": measure.name, "units": nested.units, "n": nested.n}
        whole = {
            **figure,
            "deviation": nested.deviation,
            **of,
            "splits": nested.splits,
            "chosen": chosen,
            "folds": records,
            "warning": warning,
        }
        return json.dumps(whole, indent=2) + "\n"
    if style == "csv":
        return to_csv(records)
    rows = [
        {
            "fold": i,
            "chosen": names[one.contender],
            "strength": f"{one.strength:.2e}",
            "val": measure.show(one.val.value),
            "test": measure.show(one.test.value),
            "95 % interval": show_interval(one.test, measure),
        }
        for i, one in enumerate(nested.rounds, 1)
    ]
    k, tests = len(nested.rounds), [one.test.value for one in nested.rounds]
    often = "; ".join(f"{names[one]}: {count} of {k}" for one, count in nested.chosen.most_common())
    said = [
        f"{measure.heading} {format_estimate(nested.figure, measure)} on {nested.n} "
        f"{nested.units} of {', '.join(nested.splits)}, each tested once by a head that others chose "
        f"({name_interval(measure, nested.units)}).",
        f"From fold to fold {measure.show(min(tests))} to {measure.show(max(tests))}{measure.suffix}, with a "
        f"standard deviation of {measure.show(nested.deviation)}.",
        f"Chosen: {often}.",
    ]
    return format_records(rows, style, wrapped=("chosen",)) + _explain([*said, warning])


def format_resplits(found: Resplits, style: str, warning: str = "") -> str:
    """Splits dealt anew in one of `FORMATS`, ending in a newline; JSON also has each split's choice.

    Tables for people have the cells that were chosen, the others all of them.
    """
    measure = found.measure
    order = sorted(range(len(found.contenders)), key=lambda i: (-found.chosen[i], -found.val[:, i].mean()))
    records = [
        {
            **found.contenders[i].facts,
            "chosen": found.chosen[i],
            "splits": len(found.winners),
            "metric": measure.name,
            "mean_val": float(found.val[:, i].mean()),
            "mean_test": float(found.test[:, i].mean()),
        }
        for i in order
    ]
    if style == "csv":
        return to_csv(records)
    if style == "json":
        each = [
            {**found.contenders[i].facts, "val": float(found.val[split, i]), "test": float(found.test[split, i])}
            for split, i in enumerate(found.winners.tolist())
        ]
        whole = {"cells": records, "splits": each, "sizes": found.sizes, "warning": warning}
        return json.dumps(whole, indent=2) + "\n"
    names, k = name_contenders(found.contenders), len(found.winners)
    rows = [
        {
            "cell": names[found.contenders[i]],
            f"chosen by, of {k}": found.chosen[i],
            "mean val": measure.show(found.val[:, i].mean()),
            "mean test": measure.show(found.test[:, i].mean()),
        }
        for i in order
        if found.chosen[i]
    ]
    sizes = ", ".join(f"{n} for {split}" for split, n in found.sizes.items())
    won, best = found.won, float(found.test.mean(0).max())
    right = "" if measure.name == "accuracy" else f"{measure.title} "
    said = [
        f"{k} splits ({sizes} in the first) chose {len(found.chosen)} of {len(found.contenders)} cells; means are "
        "over all splits.",
        f"What a split chose has {right}{measure.show(won.mean())}{measure.suffix} on its own test images on "
        f"average, {measure.show(won.min())} to {measure.show(won.max())} from split to split, with a standard "
        f"deviation of {measure.show(_deviate(won))}; the best cell of all has {measure.show(best)}.",
    ]
    return format_records(rows, style, wrapped=("cell",)) + _explain([*said, warning])


def _deviate(values: Any) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _record_round(number: int, one: Round, nested: Nested) -> dict[str, Any]:
    estimates = {**record_estimate("val", one.val), **record_estimate("test", one.test)}
    of = {"metric": nested.measure.name, "units": nested.units, "n_test": len(one.row)}
    return {"fold": number, **one.contender.facts, "strength": one.strength, **estimates, **of}


def _explain(said: Sequence[str]) -> str:
    lines = [line for text in said if text for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]
    return "\n".join(["", *lines]) + "\n"
