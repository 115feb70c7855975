"""A shelf reads each split once, and lets go of what it has no room for."""

from __future__ import annotations

from collections import Counter

from drawn import FEW, PAIRS, K, Source

from fixgrid.heads.grid import run_grid
from fixgrid.heads.question import Ask
from fixgrid.heads.source import Shelf


def test_a_grid_reads_each_split_once_per_resolution() -> None:
    plain, shelved = Source(), Source()
    bare, cells = (list(run_grid(Ask(source, tuple(PAIRS), FEW))) for source in (plain, Shelf(shelved)))
    assert set(shelved.cache.loads.values()) == {1}
    assert shelved.cache.loads.keys() == plain.cache.loads.keys()
    assert max(plain.cache.loads.values()) > 1
    assert [(c.val, c.test, c.strength) for c in cells] == [(c.val, c.test, c.strength) for c in bare]


def test_a_shelf_without_room_keeps_the_last_alone() -> None:
    source = Source()
    shelf = Shelf(source, room_bytes=1)
    places = [("train", "train", 128), ("train", "train", 128), ("val", "center", 128), ("train", "train", 128)]
    found = [shelf.load(*place) for place in places]
    assert found[0] is found[1]
    assert source.cache.loads == Counter({("train", "train", 128): 2, ("val", "center", 128): 1})


def test_a_shelf_is_called_as_its_source_is() -> None:
    source = Source()
    shelf = Shelf(source)
    assert (shelf.n_classes, shelf.identify("val", "center", 128)) == (K, source.identify("val", "center", 128))
    assert shelf.view("val", "center", 128) == source.view("val", "center", 128)
    assert not source.cache.loads
