"""What a data set is, in lines of a terminal and in records."""

from __future__ import annotations

import json
from typing import Any

import click
import numpy as np
import pytest

from fixgrid.cache.rows import Manifest, Rows
from fixgrid.commands.console import Console
from fixgrid.embed.outline import describe_classes, describe_images, outline


def make(
    labels: dict[str, Any], classes: tuple[str, ...], task: str = "multiclass", groups: Any = None
) -> Manifest:
    splits = {
        split: Rows(
            tuple(b"%d" % i for i in range(len(values))),
            np.ones(len(values), np.int64),
            np.zeros((len(values), 32), np.uint8),
            np.array(values),
            None if groups is None else np.array(groups[split], np.int64),
        )
        for split, values in labels.items()
    }
    return Manifest("data", "/data", classes, splits, task=task)


THREE = make({"train": [0, 1, 2, 2], "val": [0], "test": [1, 2]}, ("ant", "bee", "cow"))


def test_classes_and_splits_are_counted_and_named():
    assert describe_classes(THREE) == "3: ant, bee, cow"
    assert describe_images(THREE) == "4 train, 1 val, 2 test"
    assert describe_images(make({"train": [0] * 1234}, ("a",))) == "1,234 train"


@pytest.mark.parametrize("length", [1, 8, 30, 200])
def test_classes_fit_a_line_whatever_their_names(length):
    names = tuple(f"{i}" + "x" * length for i in range(40))
    line = describe_classes(make({"train": [0]}, names))
    assert line.startswith("40: 0x")
    assert line.endswith("...")
    assert len(line) <= 71
    assert line.count(",") <= 10


def test_names_carry_no_terminal_escape():
    assert describe_classes(make({"train": [0]}, ("\x1b[2J", "a"))).isprintable()


@pytest.mark.parametrize(
    ("task", "labels", "classes", "line"),
    [
        ("unlabelled", [-1, -1], (), "none: the images have no labels"),
        ("regression", [0.5, 93.0], ("age",), "none: numbers from 0.5 to 93 (age)"),
        ("ordinal", [0, 1], ("low", "high"), "2 in order: low, high"),
        ("multilabel", [[True, False], [True, True]], ("sun", "sea"), "2, any number an image: sun, sea"),
    ],
)
def test_other_labels_than_classes_are_said(task, labels, classes, line):
    manifest = make({"train": labels}, classes, task)
    assert describe_classes(manifest) == line
    assert json.loads(json.dumps(outline(manifest)))["task"] == task


def test_groups_are_counted_over_all_splits():
    manifest = make({"train": [0, 1, 1], "test": [0]}, ("a", "b"), groups={"train": [0, 0, 1], "test": [2]})
    assert describe_images(manifest) == "3 train, 1 test; 3 groups"


def test_records_have_the_same_facts():
    assert outline(THREE) == {
        "task": "multiclass",
        "classes": 3,
        "names": ["ant", "bee", "cow"],
        "images": {"train": 4, "val": 1, "test": 2},
    }


def test_what_is_no_option_is_settled_without_an_origin(capsys):
    ctx = click.Context(click.Command("extract", params=[click.Option(["--data"])]))
    with ctx:
        Console(ctx).settle(data=("d", "built in"), labels=("2: a, b", ""), images=("3 train", ""))
    assert capsys.readouterr().err.splitlines() == ["data     d (built in)", "classes  2: a, b", "images   3 train"]
