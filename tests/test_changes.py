"""Images that changed since they were extracted are counted without reading one."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from stub import SilentWatcher
from test_hints import type_in
from test_script import CODE, LAYERS
from zoo import draw_photo, encode, write_photos

import fixgrid
from fixgrid.cache.rows import Manifest
from fixgrid.embed import changes, hashes
from fixgrid.embed.changes import Changes, find_changes
from fixgrid.embed.manifest import read_manifest


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty images, hashed so long ago that their times can be relied on."""
    monkeypatch.setattr(hashes, "RACY_NS", -(10**18))
    write_photos(tmp_path / "data", 30)
    return tmp_path / "data"


def read(source: Path | str, **options: bool | int) -> Manifest:
    return read_manifest(str(source), cache_dir=Path(source).parent / "c", **options)[0]


def look(manifest: Manifest, data: Path) -> Changes:
    return find_changes(manifest, data.parent / "c")


def edit(file: Path) -> None:
    """Another content of the same size, the time put back."""
    before = file.stat()
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_folder_that_is_as_it_was_has_not_changed(data: Path) -> None:
    assert look(read(data), data) == Changes()
    assert Changes().describe() == ""


def test_new_removed_and_edited_images_are_counted_and_none_is_read(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read(data)
    for i in (40, 42, 44):
        (data / "a" / f"{i}.png").write_bytes(encode(draw_photo(24, 20, i)))
    (data / "b" / "0001.png").unlink()
    for name in ("a/0002.png", "b/0003.png"):
        edit(data / name)
    monkeypatch.setattr(hashes, "hash_image", None)
    splits = sorted(path.name for path in (data.parent / "c" / "splits").iterdir())
    assert look(manifest, data) == Changes(3, 1, 2)
    assert Changes(3, 1, 2).describe() == "3 new, 1 gone, 2 edited, it seems"
    assert sorted(path.name for path in (data.parent / "c" / "splits").iterdir()) == splits


def test_what_another_command_hashed_meanwhile_is_still_an_edit(data: Path) -> None:
    manifest = read(data)
    edit(data / "a/0002.png")
    read(data)
    assert look(manifest, data) == Changes(edited=1)
    assert look(read(data), data) == Changes()


def test_without_a_memory_the_size_tells(data: Path) -> None:
    manifest = read(data)
    shutil.rmtree(data.parent / "c" / "hashes")
    edit(data / "a/0002.png")
    assert look(manifest, data) == Changes()
    (data / "a/0004.png").write_bytes(b"more" + (data / "a/0004.png").read_bytes())
    assert look(manifest, data) == Changes(edited=1)


def test_a_table_is_read_again_with_its_labels_and_splits(data: Path) -> None:
    table = data / "table.csv"
    lines = [f"{(i % 2 and 'b') or 'a'}/{i:04d}.png,{i % 2},{('train', 'val', 'test')[i % 3]}" for i in range(30)]
    table.write_text("\n".join(["path,label,split", *lines]))
    manifest = read_manifest(str(table), cache_dir=data.parent / "c")[0]
    assert look(manifest, data) == Changes()
    changed = [lines[0].replace(",0,", ",1,"), lines[1].replace("val", "test"), *lines[3:]]
    table.write_text("\n".join(["path,label,split", *changed]))
    assert look(manifest, data) == Changes(removed=1, relabelled=2)
    table.write_text("\n".join(["path,label,split", *lines, "a/none.png,0,train"]))
    assert "cannot be listed any more: " in look(manifest, data).problem
    assert "a/none.png" in look(manifest, data).describe()


def test_links_that_were_followed_are_followed_again(data: Path) -> None:
    (data / "a" / "link.png").symlink_to(data / "b" / "0001.png")
    plain, followed = read(data), read(data, follow_links=True)
    for manifest in (plain, followed, replace(followed, options=())):
        assert look(manifest, data) == Changes()


@pytest.mark.parametrize(
    "folders",
    [
        [""],
        ["fold_1/a", "fold_1/b", "fold_2/a", "fold_2/b", "fold_3/a", "fold_3/b"],
        ["Train/a", "Train/b", "Test/a", "Test/b"],
        ["a/train", "b/train", "a/test", "b/test"],
    ],
)
def test_layouts_are_read_again_as_they_were(tmp_path: Path, folders: list[str]) -> None:
    root = tmp_path / "odd"
    for i in range(24):
        file = root / folders[i % len(folders)] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(draw_photo(8, 6, i)))
    assert look(read(root), root) == Changes()


@pytest.mark.parametrize("source", ["sample", "torchvision:Flowers102"])
def test_what_is_no_folder_of_the_users_is_left_alone(
    source: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "list_source", None)
    assert look(replace(read(data), source=source), data) == Changes()


def test_a_folder_that_is_gone_is_no_change(data: Path) -> None:
    manifest = read(data)
    data.rename(data.parent / "moved")
    assert look(manifest, data) == Changes()


def test_every_answer_of_changed_images_says_so_once_with_the_command(data: Path) -> None:
    work = data.parent
    (work / "script_layers.py").write_text(LAYERS)
    (work / "nets.py").write_text(CODE)
    cache, trunk = work / "c", f"{work}/nets.py:build"
    type_in(
        "extract", "--data", str(data), "--trunk", trunk, "--res", "24,32", "--cache", str(cache), "--views", "five"
    )
    asked = {"cache": cache, "heads": "mean", "pairs": "24:32"}
    answers = {
        "grid": fixgrid.grid,
        "fit": fixgrid.fit_head,
        "curve": lambda **asked: fixgrid.curve(**asked, shares=[1.0]),
        "report": lambda **asked: fixgrid.report(**asked, out=work / "page.html"),
    }

    def list_said() -> list[list[str]]:
        watchers = [SilentWatcher() for _ in answers]
        for answer, watcher in zip(answers.values(), watchers, strict=True):
            answer(**asked, watcher=watcher)
        return [[line for line in watcher.notices if "has changed" in line] for watcher in watchers]

    assert list_said() == [[]] * len(answers)
    (data / "b" / "0001.png").unlink()
    said = list_said()
    assert {len(lines) for lines in said} == {1}
    assert (
        f"note: {data} has changed since it was extracted (1 gone); what follows is of the images as they were"
        in said[0][0]
    )
    command = said[0][0].partition("up to date: python cli.py ")[2]
    assert command.split()[:3] == ["extract", "--data", str(data)]
    assert "--views five --res 24,32" in command
    type_in(*command.split())
    assert list_said() == [[]] * len(answers)
