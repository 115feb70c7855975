"""What a user says of a table is kept as options that say it again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from zoo import touch, write_photos

import fixgrid
from fixgrid import evaluating, gathering
from fixgrid.cache.errors import UsageError
from fixgrid.cache.rows import Manifest
from fixgrid.embed.changes import Changes, find_changes
from fixgrid.embed.manifest import read_manifest
from fixgrid.embed.sources.reading import Reading, join_words, split_words
from fixgrid.requests import Request


def test_what_was_said_is_said_again() -> None:
    reading = Reading("file", "a,b", "none", "patient", "/images", "multilabel", "b,a")
    options = ("--seed", "5", *reading.say(), "--follow-links")
    assert options[2:6] == ("--image-col", "file", "--label-col", "a,b")
    assert Reading.recall(options) == reading
    assert Reading.recall(("--seed", "5")) == Reading()
    assert Reading().say() == ()


def test_words_with_commas_are_kept_whole() -> None:
    assert split_words(' a, "b, c",,d ') == ("a", "b, c", "d")
    assert split_words(join_words(["a", "b, c"])) == ("a", "b, c")
    assert join_words("a,b") == "a,b"


def test_a_request_says_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Request(label_col=["a", "b, c"], root="here", task="ordinal", classes=["low", "high"])
    assert asked.reading == Reading(
        "", 'a,"b, c"', root=str(tmp_path.resolve() / "here"), task="ordinal", classes="low,high"
    )


@pytest.mark.parametrize(
    ("answers", "said", "task"),
    [
        ("multiclass", None, ""),
        ("ordinal", None, ""),
        ("regression", None, "regression"),
        ("multilabel", None, "multilabel"),
        ("multilabel", "multiclass", "multiclass"),
    ],
)
def test_labels_are_read_as_a_head_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: str, said: str | None, task: str
) -> None:
    asked = []

    def stop(source: str, **options: Reading) -> None:
        asked.append(options["reading"])
        raise UsageError(source)

    monkeypatch.setattr(gathering, "read_manifest", stop)
    saved = SimpleNamespace(trunk={}, seen=(), task=answers, data={}, keys={}, trained_on={})
    monkeypatch.setattr(evaluating, "find_head", lambda *_: tmp_path / "head")
    monkeypatch.setattr(evaluating, "load_head", lambda _: saved)
    monkeypatch.setattr(evaluating, "Replica", lambda *_: None)
    with pytest.raises(UsageError, match=r"t\.csv"):
        fixgrid.evaluate("head", "t.csv", label_col=["a", "b"], task=said, cache=tmp_path)
    assert asked == [Reading(label_col="a,b", task=task)]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"task": "binary"}, "found --task 'binary'; expected one of multiclass, ordinal,"),
        ({"task": "regression", "classes": "a,b"}, "found --classes with --task regression"),
    ],
)
def test_what_contradicts_itself_is_refused(said: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Reading(**said)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Forty images in a folder, and a table elsewhere of their marks and numbers."""
    write_photos(tmp_path / "photos", 40)
    (tmp_path / "tables").mkdir()
    lines = [f"{'ab'[i % 2]}/{i:04d}.png,{i % 2},{int(i % 3 == 0)},{i * 7 % 40 + 0.5},{i // 4}" for i in range(40)]
    file = tmp_path / "tables" / "t.csv"
    file.write_text("\n".join(["shot,red,wet,weight,day", *lines]))
    return file


SAID = {"image_col": "shot", "label_col": "red,wet", "group_col": "day"}


def read(table: Path, source: str = "", **said: str) -> Manifest:
    reading = Reading(root=str(table.parents[1] / "photos"), **said)
    return read_manifest(source or str(table), cache_dir=table.parents[1] / "c", reading=reading)[0]


def test_a_record_lists_itself_again_as_it_was_asked_for(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    manifest = read(table, "t.csv", **SAID, task="multilabel", classes="wet,red")
    assert manifest.source == str(table.resolve())
    assert (manifest.task, manifest.classes) == ("multilabel", ("wet", "red"))
    assert manifest.options[-4:] == ("--task", "multilabel", "--classes", "wet,red")
    assert find_changes(manifest, table.parents[1] / "c") == Changes()
    table.write_text(table.read_text().replace("a/0000.png,0,1", "a/0000.png,1,1"))
    assert find_changes(manifest, table.parents[1] / "c") == Changes(relabelled=1)


def test_numbers_and_groups_become_rows(table: Path) -> None:
    manifest = read(table, image_col="shot", label_col="weight", group_col="day")
    assert (manifest.task, manifest.classes) == ("regression", ("weight",))
    days = [set(rows.groups.tolist()) for rows in manifest.splits.values() if rows.groups is not None]
    assert len(days) == 3
    assert not days[0] & days[1] | days[0] & days[2] | days[1] & days[2]


def test_columns_are_for_tables_alone_and_tasks_for_all(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", *(f"{name}/{i}.png" for name in ("2", "10", "1") for i in range(10)))

    def ask(**said: str) -> Manifest:
        return read_manifest(str(data), cache_dir=tmp_path / "c", reading=Reading(**said))[0]

    assert ask(task="ordinal").classes == ("1", "2", "10")
    assert set(ask(task="regression").splits["train"].labels.tolist()) == {1.0, 2.0, 10.0}
    assert ask(task="unlabelled").splits.keys() == {"test"}
    with pytest.raises(UsageError, match=r"found --label-col with .*data; expected it with a table \(.csv"):
        ask(label_col="breed")
