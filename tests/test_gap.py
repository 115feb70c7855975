"""Corrections map features at test_res to the statistics the head was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, Cache, ask

from fixgrid.cache.holdings import RECALIBRATED
from fixgrid.heads.gap import CORRECTIONS, fit_correction
from fixgrid.heads.recipe import list_recipes


def gev(n, location, scale, seed):
    u = np.random.default_rng(seed).random((n, len(location)))
    return (location + scale * ((-np.log(u)) ** -0.3 - 1) / 0.3).astype(np.float32)


TRAINED = gev(4000, np.array([1.0, 2.0]), np.array([0.5, 0.2]), 0)
SEEN = gev(4000, np.array([0.4, 3.0]), np.array([0.2, 0.9]), 1)


def test_standardising_gives_the_training_mean_and_spread():
    found = fit_correction("standardize", TRAINED, SEEN)(SEEN)
    np.testing.assert_allclose(found.mean(0), TRAINED.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found.std(0), TRAINED.std(0), rtol=1e-4)


def test_the_frechet_map_matches_every_quantile_of_its_law():
    found = fit_correction("frechet", TRAINED, SEEN)(SEEN)
    for q in (0.05, 0.25, 0.5, 0.75, 0.9):
        wanted = np.quantile(TRAINED, q, axis=0)
        np.testing.assert_allclose(np.quantile(found, q, axis=0), wanted, rtol=0.05, atol=0.03)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_features_with_the_right_statistics_stay(name):
    np.testing.assert_allclose(fit_correction(name, TRAINED, TRAINED)(TRAINED), TRAINED, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_dead_channel_stays_finite(name):
    trained, seen = TRAINED.copy(), SEEN.copy()
    trained[:, 0] = seen[:, 0] = 0
    found = fit_correction(name, trained, seen)(seen)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], 0)


def test_an_unknown_correction_names_the_known_ones():
    with pytest.raises(ValueError, match="none, standardize, frechet"):
        fit_correction("magic", TRAINED, SEEN)


@pytest.mark.parametrize("pair", [(224, 320), (224, "128+320")])
def test_batchnorm_sees_val_and_test_by_the_recalibrated_trunk_and_fits_on_the_original(pair):
    asked, cache = [], Cache()

    def load(split, kind, res):
        asked.append((split, kind, res))
        return cache(split, kind.removeprefix(RECALIBRATED), res)

    options = replace(FEW, corrections=("none", "batchnorm"))
    plain, made = list_recipes(ask(load, [pair], options))
    assert made.places == [
        (split, kind if split == "train" else RECALIBRATED + kind, res) for split, kind, res in plain.places
    ]
    made.choose()
    assert {place[0] for place in asked} == {"train", "val"}
    head = made.choose().head
    made.see(made.load("test"))
    assert set(asked) == set(made.places)
    assert made.fold(head) == (head, ())
