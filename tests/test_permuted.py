"""Where labels mean nothing, no cell is called better than another more often than the level says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from drawn import FEW, PAIRS, Cache, ask

from fixgrid.cache.features import FeatureSet
from fixgrid.heads.cell import Cost
from fixgrid.heads.fit import choose_best
from fixgrid.heads.grid import run_grid
from fixgrid.heads.question import Ask
from fixgrid.heads.verdict import judge_cells

DEALS = 40
RIDGE = replace(FEW, families=("ridge", "mean"))


class Shuffled(Cache):
    """The labels of every split in another order, the same at every resolution."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def __call__(self, split: str, kind: str, res: int) -> FeatureSet:
        seen = super().__call__(split, kind, res)
        order = np.random.default_rng([self.seed, len(split)]).permutation(len(seen.y))
        return replace(seen, y=seen.y[order])


def test_permuted_labels_tell_no_cells_apart() -> None:
    val = test = 0
    for seed in range(DEALS):
        cells = judge_cells(list(run_grid(ask(Shuffled(seed), PAIRS, RIDGE)))).cells
        val += any(cell.val_p < 0.05 for cell in cells)
        test += any(cell.test_p < 0.05 for cell in cells)
    assert max(val, test) <= 6  # of 40 at 5 %: more in 3 cases of 1,000


def priced(load: Cache) -> Ask:
    """A question to features with a cost that grows with the test resolution."""

    class Priced(Ask):
        def weigh(self, test_res):
            return Cost(int(test_res) / 1e3, None, 1)

    plain = ask(load, PAIRS, FEW)
    return Priced(plain.source, plain.pairs, plain.options)


def test_permuted_test_labels_change_neither_preference() -> None:
    for prefer in ("accurate", "cheap"):
        honest, shuffled = (choose_best([priced(Cache(permute))], prefer) for permute in (None, "test"))
        places = [(found.recipe.train_res, found.recipe.test_res) for found in (honest, shuffled)]
        assert places[0] == places[1]
        assert honest.chosen.choice.strength == shuffled.chosen.choice.strength
