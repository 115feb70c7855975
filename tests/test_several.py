"""Several trunks in one pass: each image is decoded once, and every feature is that of a run by one trunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from faulty import open_faulty, spoil
from stub import TRUNK, SilentWatcher, StubBackend, center, open_stub, train
from zoo import draw_photo, list_manifest, write_photos

from fixgrid.cache.errors import DataError
from fixgrid.cache.shard import Status
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed import extraction, task
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.run import Part, run_pass
from fixgrid.embed.sizing import Sizing
from fixgrid.embed.task import run_shard
from fixgrid.embed.views import render_view
from fixgrid.embed.work import prepare_pass

PHOTOS = 40
VIEWS = (center(8), train(8), center(12))
BRIGHT = tuple(replace(view, mean=("0.5",) * 3) for view in VIEWS)  # the same crops, normalised otherwise


@dataclass(frozen=True)
class Plus:
    """An opener of stubs that add a number of their own to every feature."""

    number: int
    batch: int = 1

    def __call__(self, view: View) -> StubBackend:
        return Shifted(view, self.number, self.batch)


class Shifted(StubBackend):
    def __init__(self, view: View, number: int, batch: int) -> None:
        super().__init__(view)
        self.number, self.batch = number, batch

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return super().__call__(pixels) + self.number


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_photos(tmp_path / "data", PHOTOS)
    return tmp_path / "data"


def extraction_of(data: Path, number: int, cache: str, views: Sequence[View] = VIEWS) -> Extraction:
    key = replace(TRUNK, name=f"stub{number}", weights_sha256=f"{number}".ljust(64, "0"))
    return Extraction(FeatureStore(data.parent / cache), list_manifest(data), key, {"train": views})


def part_of(data: Path, number: int, cache: str = "cache", views: Sequence[View] = VIEWS, batch: int = 1) -> Part:
    return Part(extraction_of(data, number, cache, views), lambda missing: Plus(number, batch))


def never(views: Sequence[View]) -> Callable[[View], StubBackend]:
    raise AssertionError("opened a trunk although nothing of it is missing")


def run(*parts: Part, watcher: SilentWatcher | None = None, workers: int = 1, **options: object) -> Outcome:
    options = {"engine": "inline", **options}
    return run_pass(parts, watcher or SilentWatcher(), Sizing(workers, 1, 0), **options)


def sealed(part: Part) -> list[bytes]:
    return [entry.sealed_file.read_bytes() for entry in part.extraction.entries.values()]


def three(data: Path, cache: str = "cache") -> list[Part]:
    return [part_of(data, 1, cache), part_of(data, 2, cache, BRIGHT), part_of(data, 3, cache, VIEWS[:1], batch=4)]


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_each_image_is_decoded_once_and_features_are_those_of_separate_runs(data: Path, engine: str) -> None:
    joint, watcher = three(data), SilentWatcher()
    outcome = run(*joint, watcher=watcher, engine=engine, workers=2)
    assert (outcome.decoded, outcome.images, watcher.done, outcome.passes) == (PHOTOS, PHOTOS, PHOTOS, 7)
    assert outcome.forwards == PHOTOS * (4 + 4 + 1)
    alone = three(data, "alone")
    assert sum(run(part).decoded for part in alone) == 3 * PHOTOS
    assert [sealed(part) for part in joint] == [sealed(part) for part in alone]


def test_equal_crops_are_rendered_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[View] = []
    monkeypatch.setattr(task, "render_view", lambda *asked: (rendered.append(asked[1]), render_view(*asked))[1])
    run(part_of(data, 1), part_of(data, 2, views=BRIGHT))
    assert len(rendered) == PHOTOS * len(VIEWS)
    rendered.clear()
    other = [replace(VIEWS[0], interpolation="bicubic")]
    run(part_of(data, 3, views=VIEWS[:1]), part_of(data, 4, views=other))
    assert len(rendered) == PHOTOS * 2


@pytest.mark.parametrize("kind", ["center", "train", "val_train", "whole", "five", "ten"])
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_views_of_one_geometry_have_the_same_pixels(kind: str, mode: str) -> None:
    view = replace(center(16), kind=kind, crop_mode=mode, draws=2, crop_ratio="0.9")
    others = [replace(view, mean=("0.9",) * 3), replace(view, std=("0.2",) * 3), replace(view, crop_ratio="0.8")]
    image, content = draw_photo(40, 24, 1), b"1" * 32
    pixels = render_view(image, view, content)
    for other in others:
        equal = np.array_equal(pixels, render_view(image, other, content))
        assert equal or other.geometry != view.geometry
    assert others[1].geometry == view.geometry
    assert (others[0].geometry == view.geometry) == (mode != "border")  # which pads with the mean
    assert (others[2].geometry == view.geometry) == (kind in ("train", "whole"))


def test_a_run_that_was_stopped_half_way_decodes_the_rest_once(data: Path) -> None:
    parts = three(data)
    extractions = [part.extraction for part in parts]
    begun = prepare_pass(extractions, SilentWatcher(), lambda: False, pieces=2)
    openers = {i: part.open_backends(()) for i, part in enumerate(parts)}
    halves = begun.jobs[: len(begun.jobs) // 2]
    done = sum(run_shard(job, openers).decoded for job in halves)
    assert 0 < done < PHOTOS
    outcome = run(*parts)
    assert outcome.decoded == PHOTOS - done
    alone = three(data, "alone")
    for part in alone:
        run(part)
    assert [sealed(part) for part in parts] == [sealed(part) for part in alone]


def test_a_trunk_that_is_complete_is_not_opened(data: Path) -> None:
    run(part_of(data, 1))
    outcome = run(replace(part_of(data, 1), open_backends=never), part_of(data, 2))
    assert (outcome.decoded, outcome.computed, outcome.forwards) == (PHOTOS, 3 * PHOTOS, 4 * PHOTOS)
    assert [share.decoded for share in outcome.shares] == [0, PHOTOS]
    outcome = run(*(replace(part_of(data, number), open_backends=never) for number in (2, 1)))
    assert outcome.describe() == f"all features of {PHOTOS} images were cached; the trunk ran 0 times"


def test_what_was_shared_counts_for_each_trunk_in_full(data: Path) -> None:
    outcome = run(*three(data))
    first, second, third = outcome.shares
    assert [share.decoded for share in outcome.shares] == [PHOTOS] * 3
    assert [dict(share.crops) for share in (first, third)] == [{8: 3 * PHOTOS, 12: PHOTOS}, {8: PHOTOS}]
    for stage in ("read", "decode"):
        assert first.stages[stage] == second.stages[stage] == third.stages[stage] == outcome.stages[stage]
    assert first.stages["view"] == pytest.approx(outcome.stages["view"])
    assert third.stages["view"] < first.stages["view"]
    assert sum(share.stages["trunk"] for share in outcome.shares) == pytest.approx(outcome.stages["trunk"])
    assert {res: seconds > 0 for res, seconds in second.trunk_s.items()} == {8: True, 12: True}
    assert sum(second.trunk_s.values()) == pytest.approx(second.stages["trunk"])


def test_an_image_that_kills_its_worker_is_quarantined_for_every_trunk(data: Path) -> None:
    spoil(data / "a" / "0004.png", b"segv")
    parts = [replace(part_of(data, number), open_backends=lambda missing: open_faulty) for number in (1, 2)]
    outcome = run(*parts, engine="local", workers=2, max_bad=0.1)
    assert [(bad.path, bad.status) for bad in outcome.bad] == [(b"a/0004.png", Status.CRASH)]
    for part in parts:
        for entry in part.extraction.entries.values():
            assert entry.read_status().tolist().count(Status.CRASH) == 1


class Blind(StubBackend):
    """Has no feature for one image."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        features = super().__call__(pixels)
        blank = decode_rgb((BLIND[0] / "a" / "0002.png").read_bytes())
        return np.where(np.array_equal(pixels, render_view(blank, VIEWS[0], b"")), np.nan, features)


BLIND: list[Path] = []


def test_an_image_without_a_feature_of_one_trunk_has_those_of_the_others(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_several.BLIND", [data])
    seeing = part_of(data, 1, views=VIEWS[:1])
    blind = replace(part_of(data, 2, views=VIEWS[:1]), open_backends=lambda missing: Blind)
    with pytest.raises(
        DataError,
        match=r"1 of 40 images without features.*first a/0002\.png \(features that are not finite at 8 px\)",
    ):
        run(seeing, blind, max_bad=0)
    assert not list(data.parent.rglob("sealed.json"))  # nor of the trunk that sees all
    outcome = run(seeing, blind, max_bad=0.1)
    assert [bad.path for bad in outcome.bad] == [b"a/0002.png"]
    found = [next(iter(part.extraction.entries.values())).read_status() for part in (seeing, blind)]
    assert [int((status != Status.OK).sum()) for status in found] == [0, 1]


def test_locks_are_taken_in_one_order_whatever_the_order_of_the_trunks(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    hold = extraction.hold_lock
    monkeypatch.setattr(extraction, "hold_lock", lambda path, *more: (taken.append(path), hold(path, *more))[1])
    for numbers in ((1, 2), (2, 1)):
        work = prepare_pass([extraction_of(data, n, "cache") for n in numbers], SilentWatcher(), lambda: False)
        for job in work.jobs:
            run_shard(job, {0: open_stub, 1: open_stub})
        taken.clear()
        work.finish(SilentWatcher(), lambda: False)
        assert taken == sorted(taken)
        assert len(taken) == 2
