from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stub import TRUNK, SilentWatcher, center, open_stubs, run_stub, train
from zoo import list_manifest, write_photos

from fixgrid.cache.errors import DataError
from fixgrid.cache.lock import share_lock, try_lock
from fixgrid.cache.quarantine import read_reasons
from fixgrid.cache.store import FeatureStore
from fixgrid.embed import portion
from fixgrid.embed.extraction import Extraction
from fixgrid.embed.outcome import Outcome
from fixgrid.embed.portion import Portion

VIEWS = (center(8), train(8))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(portion, "MIN_ROWS", 8)  # so that 70 rows are nine pieces
    write_photos(tmp_path / "data", 70)
    return tmp_path / "data"


def make_extraction(data: Path, cache: str = "parts") -> Extraction:
    return Extraction(FeatureStore(data.parent / cache), list_manifest(data), TRUNK, {"train": VIEWS})


def extract(data: Path, part: str = "", cache: str = "parts", **options: object) -> tuple[Extraction, Outcome]:
    index, _, count = part.partition("/")
    mine = Portion(int(index), int(count)) if part else None
    extraction = make_extraction(data, cache)
    return extraction, run_stub(extraction, options.pop("opener", open_stubs), portion=mine, **options)


def read_sealed(extraction: Extraction) -> list[bytes]:
    return [entry.sealed_file.read_bytes() for entry in extraction.entries.values()]


def never(views: object) -> None:
    raise AssertionError("opened the trunk although nothing is missing")


def test_parts_and_one_run_seal_the_same_bytes(data: Path) -> None:
    whole, _ = extract(data, cache="whole")
    counts = [extract(data, part)[1] for part in ("2/3", "0/3", "1/3")]
    assert sum(outcome.decoded for outcome in counts) == 70
    assert [outcome.left for outcome in counts] == [48, 24, 0]
    sealed, outcome = extract(data, opener=never)
    assert outcome.computed == 0
    assert read_sealed(sealed) == read_sealed(whole)


def test_a_part_seals_nothing(data: Path) -> None:
    extraction, outcome = extract(data, "0/1")
    assert (outcome.decoded, outcome.left) == (70, 0)
    assert not any(entry.read_seal() for entry in extraction.entries.values())
    assert "no image is left: extract without --part seals the features" in outcome.describe()


def test_the_number_of_parts_may_change(data: Path) -> None:
    done = extract(data, "0/2")[1].decoded
    again = [extract(data, f"{i}/5")[1].decoded for i in range(5)]
    assert done + sum(again) == 70
    assert read_sealed(extract(data)[0]) == read_sealed(extract(data, cache="whole")[0])


def test_a_part_that_is_run_again_does_nothing(data: Path) -> None:
    extract(data, "1/2")
    assert extract(data, "1/2", opener=never)[1].describe().startswith("part 1/2: all features of 32 images")


def test_a_part_waits_for_nobody_who_seals(data: Path) -> None:
    watcher = SilentWatcher()
    with try_lock(make_extraction(data).lock) as held:
        assert held
        assert extract(data, "0/2", watcher=watcher)[1].decoded == 38
    assert watcher.notices == []


def test_beside_others_a_part_does_all_of_its_own(data: Path) -> None:
    watcher = SilentWatcher()
    with share_lock(make_extraction(data).run_lock):
        assert extract(data, "0/2", watcher=watcher)[1].decoded == 38
    assert watcher.notices == []


def test_why_images_are_bad_is_known_to_who_seals(data: Path) -> None:
    rows = list_manifest(data).splits["train"]
    (data / Path(rows.paths[9].decode())).write_bytes(b"no image")
    bad = [extract(data, f"{i}/3")[1].bad for i in range(3)]
    assert [[row.row for row in found] for found in bad] == [[], [9], []]
    extraction, outcome = extract(data, max_bad=0.5, opener=never)
    assert [row.reason for row in outcome.bad] == [bad[1][0].reason]
    folder = next(iter(extraction.entries.values())).folder
    assert read_reasons(folder) == {9: bad[1][0].reason}
    assert [file.name for file in folder.glob("quarantine*")] == ["quarantine.jsonl"]


def test_too_many_bad_images_are_judged_of_all_parts_together(data: Path) -> None:
    rows = list_manifest(data).splits["train"]
    (data / Path(rows.paths[9].decode())).write_bytes(b"no image")
    for i in range(2):
        extract(data, f"{i}/2", max_bad=0.01)
    with pytest.raises(DataError, match="found 1 of 70 images unusable"):
        extract(data, max_bad=0.01)


def test_a_damaged_shard_of_a_part_is_computed_again_by_who_seals(data: Path) -> None:
    extraction, _ = extract(data, "0/2")
    extract(data, "1/2")
    shard = next(iter(sorted(next(iter(extraction.entries.values())).shards_folder.glob("*.h5"))))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert extract(data)[1].decoded > 0
    assert read_sealed(extraction) == read_sealed(extract(data, cache="whole")[0])


def test_a_part_takes_over_its_own_rows_alone(data: Path) -> None:
    extract(data, cache="parts")
    first = min(data.rglob("*.*"))
    first.rename(first.with_name(f"a-{first.name}"))
    outcome = extract(data, "0/2")[1]
    assert (outcome.adopted, outcome.decoded) == (2 * 38, 0)
    assert np.sum(make_extraction(data).entries["train", VIEWS[0], "pooled"].find_missing()) == 32


def test_what_a_part_or_a_stopped_run_did_is_taken_over_when_an_image_is_added(data: Path) -> None:
    done = extract(data, "0/2")[1].decoded
    assert 0 < done < 70
    (data / "a" / "new.png").write_bytes((data / "b" / "0001.png").read_bytes() + b"x")
    grown, outcome = extract(data)
    assert (outcome.decoded, outcome.adopted) == (71 - done, 2 * done)
    assert read_sealed(grown) == read_sealed(extract(data, cache="whole")[0])
