"""What a user's code refers to outside itself is in its key, and nothing else is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_own import CODE, Holder, Settings, draw_linear, import_code, own
from torch import nn, ones

from fixgrid.embed.trunks.own import identify_own
from fixgrid.embed.trunks.references import list_references

BESIDE = """
import math
import torch
from torch import nn
import {layers}
from {layers} import offset as moved

SCALE = 2.0
UNUSED = 5
SIDES = (1, 2)
TABLE = torch.ones(1)

def pool(maps):
    return shrink(maps) * SCALE

def shrink(maps):
    return maps.mean((2, 3))

def top(maps):
    return maps.amax((2, 3))

chosen = shrink

def logged(function):
    def run(*args):
        return function(*args)
    return run

class Plan:
    factor = 3

class Net(nn.Module):
    step = SIDES

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)

    @logged
    def forward(self, x, by=SIDES[0]):
        found = pool(self.conv(x)) + chosen(x).sum() + math.pi * TABLE
        return self.finish(found) * by

    def finish(self, x):
        return [{layers}.double(part) for part in [x * Plan.factor]][0] + moved(x)
"""
LAYERS = """
ADDED = 1.0

def double(x):
    return 2 * x

def offset(x):
    return x + ADDED

def other(x):
    return 3 * x
"""


def digest(folder: Path, text: str = BESIDE, layers: str = LAYERS) -> str:
    name = "layers_beside"
    import_code(folder, layers, name)
    return identify_own(own(import_code(folder, text.format(layers=name)).Net())).facts.architecture


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2.0", "SCALE = 2.5"),  # read by a function that a method calls
        ("maps.mean((2, 3))", "maps.mean((3, 2))"),  # of a function that a function calls
        ("chosen = shrink", "chosen = top"),
        ("SIDES = (1, 2)", "SIDES = (1, 3)"),  # read where the class was made
        ("TABLE = torch.ones(1)", "TABLE = torch.zeros(1)"),
        ("factor = 3", "factor = 4"),
        ("return function(*args)", "return function(*args) * 1"),  # of a decorator
        ("    return 2 * x", "    return 4 * x"),  # by attribute of a module
        ("ADDED = 1.0", "ADDED = 1.5"),  # of a module that is not imported itself
    ],
)
def test_a_change_beside_a_class_that_it_refers_to_changes_the_key(tmp_path: Path, old: str, new: str) -> None:
    assert (BESIDE + LAYERS).count(old) == 1
    first = digest(tmp_path)
    assert digest(tmp_path) == first
    assert digest(tmp_path, BESIDE.replace(old, new), LAYERS.replace(old, new)) != first


@pytest.mark.parametrize(("old", "new"), [("UNUSED = 5", "UNUSED = 6"), ("return 3 * x", "return 5 * x")])
def test_a_change_beside_a_class_that_it_does_not_refer_to_keeps_the_key(
    tmp_path: Path, old: str, new: str
) -> None:
    first = digest(tmp_path)
    assert digest(tmp_path, BESIDE.replace(old, new), LAYERS.replace(old, new)) == first


def test_a_module_that_is_handed_on_is_known_by_its_file(tmp_path: Path) -> None:
    text = BESIDE.replace("{layers}.double(part)", "getattr({layers}, 'double')(part)")
    first = digest(tmp_path, text)
    assert digest(tmp_path, text, LAYERS + "\n# more\n") != first


def test_modules_that_refer_to_nothing_of_the_users_keep_the_key_of_0_1(tmp_path: Path) -> None:
    net = import_code(tmp_path, CODE).Net()
    assert identify_own(own(net)).facts.architecture == "module:Net@3f6fad7d89a23500"
    held = Holder([1, {"a": ones(2)}, draw_linear(0)])
    assert list(list_references(type(held))) == []


def test_what_is_installed_and_what_is_not_there_yet_is_left_out() -> None:
    class Late(nn.Module):
        def forward(self, x):
            return nn.functional.relu(x) + no_such_name + pytest.approx(1) + later  # noqa: F821

    found = dict(list_references(Late))
    assert found == {}
    later = 1
    assert dict(list_references(Late)) == {"later": 1}


def test_references_are_those_of_properties_and_static_methods_too() -> None:
    class Kinds:
        @property
        def one(self):
            return draw_linear

        @staticmethod
        def two():
            return Settings

        @classmethod
        def three(cls):
            return CODE

    assert [name for name, _ in list_references(Kinds)] == ["CODE", "Settings", "draw_linear"]
    assert Kinds.__module__ in sys.modules
