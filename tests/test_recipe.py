"""The features of a cell: which it needs, corrected for each test resolution, and how several are joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import FEW, Cache, D, ask, draw_view

from fixgrid.cache.errors import CacheError, UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.view import apparent_ratio
from fixgrid.heads.ask import read_pair
from fixgrid.heads.gap import fit_correction
from fixgrid.heads.recipe import count_passes, list_recipes
from fixgrid.heads.views import join_views, list_resolutions


def recipe(pair, load=None, **changed):
    (found,) = list_recipes(ask(load or Cache(), [pair], replace(FEW, **changed)))
    return found


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("128:224", (128, 224)),
        (" 128 : 224 ", (128, 224)),
        ("224:224+320", (224, "224+320")),
        ("224: 320 + 128+224", (224, "128+224+320")),
    ],
)
def test_a_pair_is_read_and_its_test_resolutions_sorted(text, pair):
    assert read_pair(text) == pair


@pytest.mark.parametrize(
    "text", ["", "224", "224:", ":224", "224:+", "224:224+", "224:224+224", "a:224", "1.5:224", "1:2:3", "1+2:3"]
)
def test_what_is_no_pair_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"128:224\+320"):
        read_pair(text)


def test_one_resolution_is_listed_as_several_are():
    assert (list_resolutions(224), list_resolutions("224+320")) == ((224,), (224, 320))


def test_views_at_every_test_resolution_are_side_by_side():
    cache, made = Cache(), recipe((224, "128+224"))
    joined = made.load("val")
    for v, res in enumerate((128, 224)):
        np.testing.assert_array_equal(joined.X[:, v], cache("val", "center", res).X[:, 0])
    np.testing.assert_array_equal(made.see(joined), joined.X)
    np.testing.assert_array_equal(recipe((224, "128+224"), mean_of="features").see(joined), joined.X.mean(1))


@pytest.mark.parametrize("mean_of", ["probabilities", "features"])
@pytest.mark.parametrize("name", ["standardize", "frechet"])
def test_each_resolution_has_its_own_correction_before_the_mean(name, mean_of):
    cache, made = Cache(), recipe((320, "128+224"), corrections=(name,), mean_of=mean_of)
    target = cache("train", "train", 320).X.reshape(-1, D)
    wanted = []
    for res in (128, 224):
        correct = fit_correction(name, target, cache("train", "center", res).X[:, 0])
        wanted.append(correct(cache("test", "center", res).X[:, 0]))
    seen = made.see(made.load("test"))
    assert seen.dtype == np.float32
    expected = np.stack(wanted, 1) if mean_of == "probabilities" else np.mean(wanted, axis=0)
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-6)


def test_several_crops_at_several_resolutions_keep_their_order():
    made = recipe((224, "128+224"), test_kind="train", corrections=("standardize",))
    seen = made.see(made.load("val"))
    single = [recipe((224, res), test_kind="train", corrections=("standardize",)) for res in (128, 224)]
    np.testing.assert_array_equal(seen, np.concatenate([one.see(one.load("val")) for one in single], axis=1))


def test_refit_learns_from_the_training_images_at_every_test_resolution():
    rows = {}

    def load(split, kind, res):
        rows[split, kind, res] = len(Cache()(split, kind, res).y)
        return Cache()(split, kind, res)

    made = recipe((320, "128+224"), load, corrections=("refit",))
    made.choose()
    assert set(rows) == {(split, "center", res) for split in ("train", "val") for res in (128, 224)}
    assert len(made._source.rows[1]) == 2 * rows["train", "center", 128]
    assert made.apparent == 1


def test_the_size_ratio_of_several_resolutions_is_their_mean():
    wanted = [apparent_ratio([draw_view("train", 224)], draw_view("center", res)) for res in (128, 224)]
    assert recipe((224, "128+224")).apparent == pytest.approx(np.mean(wanted))


def test_an_image_without_features_at_one_resolution_is_refused():
    def load(split, kind, res):
        found = Cache()(split, kind, res)
        keep = slice(0, -1) if (split, res) == ("val", 128) else slice(None)
        return FeatureSet(found.X[keep], found.y[keep], found.row[keep], found.sha256[keep])

    with pytest.raises(CacheError, match="79 images in one view and of 80"):
        recipe((224, "128+224"), load).choose()
    assert recipe((224, 128), load).choose().choice.val.value > 0


def test_one_set_is_joined_as_it_is():
    one = Cache()("val", "center", 224)
    assert join_views([one]) is one


def test_the_places_are_those_that_are_loaded():
    for correction in ("none", "standardize", "refit"):
        for test_res in (128, "128+224"):
            cache = Cache()
            made = recipe((320, test_res), cache, corrections=(correction,))
            made.choose()
            made.load("test")
            assert set(made.places) == set(cache.loads)


def test_a_pass_shared_by_cells_is_run_once():
    pairs = [(224, 128), (224, 224), (224, "128+224")]
    assert count_passes([ask(Cache(), pairs, FEW)]) == (5, 3 + 3 + 5 - 5)


def test_cells_of_auroc_alone_have_other_names_since_it_is_of_the_softmax():
    facts = {name: recipe((320, 128), metric=name).facts for name in ("accuracy", "f1", "auroc")}
    assert facts["auroc"].keys() - facts["f1"].keys() == {"auroc"}
    assert facts["f1"].keys() - facts["accuracy"].keys() == {"metric"}
