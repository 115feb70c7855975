from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path

from test_forecast import SPEED

from fixgrid.embed.speed import MIN_IMAGES, keep_speed, recall_ms, recall_speeds

MINE = replace(SPEED, host=platform.node(), decoded=MIN_IMAGES)


def test_a_speed_is_remembered_as_it_was(tmp_path: Path) -> None:
    keep_speed(tmp_path, MINE)
    assert recall_speeds(tmp_path) == [MINE]


def test_a_later_run_of_the_same_resolutions_replaces_it(tmp_path: Path) -> None:
    later, other = replace(MINE, created=3.0, decoded=99), replace(MINE, created=2.0, crops={64: 9})
    for speed in (MINE, other, later):
        keep_speed(tmp_path, speed)
    assert recall_speeds(tmp_path) == [later, other]


def test_too_few_images_measure_nothing(tmp_path: Path) -> None:
    keep_speed(tmp_path, replace(MINE, decoded=MIN_IMAGES - 1))
    assert recall_speeds(tmp_path) == []


def test_another_machine_and_a_damaged_file_say_nothing(tmp_path: Path) -> None:
    keep_speed(tmp_path, replace(MINE, host="elsewhere"))
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"crops": {}}'), ("d", '{"crops": 3}')):
        (tmp_path / f"{name}.json").write_text(text)
    assert recall_speeds(tmp_path) == []


def test_milliseconds_of_a_crop_are_the_newest_that_were_measured(tmp_path: Path) -> None:
    def keep(**facts: object) -> None:
        keep_speed(tmp_path, replace(MINE, **{"crops": {100: 20, 200: 10}, **facts}))

    keep(trunk_s={100: 1.0, 200: 2.0}, created=1.0)
    keep(trunk_s={100: 4.0}, crops={100: 40}, created=2.0)
    keep(trunk_s={100: 9.0}, created=3.0, precision="bf16")
    keep(trunk_s={}, created=4.0, crops={100: 5, 300: 5})  # of a version that did not record it
    keep(trunk_s={100: 7.0}, created=5.0, weights_sha256="1" * 64)
    assert recall_ms(tmp_path, MINE.weights_sha256, (100, 200, 300)) == {100: 100.0, 200: 200.0}
    assert recall_ms(tmp_path, MINE.weights_sha256, (100,), "bf16") == {100: 450.0}
    assert recall_ms(tmp_path, "2" * 64, (100,)) == {}


def test_a_speed_without_seconds_by_resolution_is_read(tmp_path: Path) -> None:
    keep_speed(tmp_path, MINE)
    file = tmp_path / MINE.name
    record = json.loads(file.read_text())
    del record["trunk_s"]
    file.write_text(json.dumps(record))
    assert recall_speeds(tmp_path) == [MINE]
