"""The map of images: neighbours stay neighbours, each point has its name, and a page without labels has it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from shown import expect_shown
from test_findings import Held
from test_trunks_together import Mean
from zoo import draw_photo, encode

import fixgrid
from fixgrid.cache.text import show_label
from fixgrid.heads import map as maps
from fixgrid.heads.drawings_map import draw_map, draw_maps
from fixgrid.heads.map import ImageMap, choose_spread, map_images, place_images


def draw_groups(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng, which = np.random.default_rng(0), np.arange(n) % k
    return (rng.standard_normal((k, 16))[which] * 4 + rng.standard_normal((n, 16))).astype(np.float32), which


def test_neighbours_stay_neighbours_on_the_plane() -> None:
    X, which = draw_groups(60, 4)
    places, how = place_images(X)
    far = ((places[:, None] - places) ** 2).sum(2) + np.diag(np.full(60, np.inf))
    assert how == "t-SNE"
    assert (which[far.argmin(1)] == which).mean() > 0.95
    np.testing.assert_array_equal(places, place_images(X)[0])


@pytest.mark.parametrize("X", [np.ones((1, 4)), np.ones((40, 4)), np.zeros((3, 4)), np.eye(5), np.ones((9, 1))])
def test_few_or_equal_images_have_places_too(X: np.ndarray) -> None:
    places, _ = place_images(X.astype(np.float32))
    assert places.shape == (len(X), 2)
    assert np.isfinite(places).all()
    assert 1 <= len(choose_spread(places, 3)) <= min(3, len(X))


def test_lengths_of_features_do_not_count() -> None:
    X = draw_groups(12, 3)[0]
    lengths = np.linspace(1, 9, 12, dtype=np.float32)[:, None]
    np.testing.assert_allclose(place_images(X)[0], place_images(X * lengths)[0], atol=1e-5)


def test_samples_lie_far_apart() -> None:
    places = np.array([[0, 0], [0.1, 0], [5, 5], [5.1, 5], [-5, 5]], np.float32)
    chosen = choose_spread(places, 3)
    assert len({i // 2 for i in chosen}) == 3


def test_of_many_images_each_class_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MOST_PLACED", 24)
    found = map_images(Held(), 224)
    assert (len(found.places), len(found.ends), found.total) == (24, 24, 360)
    assert {split for split, _ in found.ends} == {"train", "val", "test"}
    assert found.labels.count("a") == found.labels.count("b") == 12
    assert "Map of 24 of 360 images" in draw_map(found, tuple("ab")).alt


def test_every_point_has_its_label_and_file_where_a_pointer_rests() -> None:
    names = [f"class {i}" for i in range(14)]
    labels = [names[i % 14] for i in range(40)]
    paths = [f"<{i}>.jpg" for i in range(40)]
    found = ImageMap(
        np.random.default_rng(0).random((40, 2)), [("test", i) for i in range(40)], paths, labels, 40, ""
    )
    drawing = draw_map(found, tuple(names))
    expect_shown(drawing)
    said = [title.text for title in ET.fromstring(drawing.svg).iter("title")]
    assert sorted(map(str, said)) == sorted(f"{label}: {path}" for label, path in zip(labels, paths, strict=True))
    assert "coloured by the 12 largest of 14 classes" in drawing.alt
    plain = draw_map(found, ())
    assert "colour" not in plain.alt
    assert set(plain.records[0]) == {"split", "row", "path", "label", "x", "y"}


def test_the_page_of_labelled_images_has_the_map() -> None:
    (drawing,) = draw_maps(Held())
    assert (drawing.name, len(drawing.records)) == ("map", 360)


def test_images_without_labels_have_a_page(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i in range(7):
        (tmp_path / "data" / f"{min(i, 5)}&{i}.png").write_bytes(encode(draw_photo(30, 26, min(i, 5))))
    asked = {"cache": tmp_path / "c"}
    trunk = fixgrid.OwnTrunk(Mean(2), name="tones")
    fixgrid.extract(tmp_path / "data", trunk=trunk, res=24, engine="inline", **asked)
    page = fixgrid.report(out=tmp_path / "page.html", **asked).read_text()
    assert (
        "7 images without labels, placed by the first two principal components of their features at 24 px" in page
    )
    assert page.count("<title>") == 1 + 7
    assert page.count("data:image/jpeg") >= 6
    assert "5&amp;5.png" in page
    assert "1 the same file" in page
    assert "http" not in page.replace("http-equiv", "")
    assert {file.name for file in (tmp_path / "page_files").iterdir()} == {
        "map.png",
        "map.csv",
        "sizes.png",
        "sizes.csv",
    }


def test_the_legend_names_every_class_that_has_a_colour() -> None:
    long = "a name of many words that ends alike"
    names = ["_hidden", "__", "a\x1bb", f"{long[:20]} one {long}", f"{long[:20]} two {long}", "other classes"]
    names += [f"class {i}" for i in range(8)]
    labels = [show_label(names[i % len(names)]) for i in range(60)]
    places = np.random.default_rng(0).random((60, 2))
    drawing = draw_map(ImageMap(places, [("test", i) for i in range(60)], ["p"] * 60, labels, 60, ""), names)
    expect_shown(drawing)
    said = [text.text for text in ET.fromstring(drawing.svg).iter("text")]
    assert len(set(said)) == len(said) == 13
    assert {"_hidden", "__", "a\\x1bb"} < set(said)
    assert sum(str(text).startswith("other classes (") for text in said) == 2
