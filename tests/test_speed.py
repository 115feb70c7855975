from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

from test_forecast import SPEED

from fixgrid.embed.speed import MIN_IMAGES, keep_speed, recall_speeds

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
