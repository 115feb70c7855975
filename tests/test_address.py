from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from fixgrid.cache import bucket, objectstore
from fixgrid.cache.address import (
    Place,
    drop_content,
    find_folder,
    find_place,
    is_bucket,
    is_shared,
    name_content,
    say_place,
)
from fixgrid.cache.errors import UsageError
from fixgrid.cache.hints import say_cache
from fixgrid.cli import main


@pytest.fixture(autouse=True)
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIXGRID_MIRROR", str(tmp_path / "mirrors"))
    return tmp_path / "mirrors"


@pytest.mark.parametrize("typed", ["s3://b/some/features", "s3://b/some/features/", Path("s3://b/some/features")])
def test_however_a_bucket_is_typed_it_has_one_mirror(typed: str | Path, mirrors: Path) -> None:
    folder = find_folder(typed)
    assert is_bucket(typed)
    assert folder == mirrors / "s3%3A%2F%2Fb%2Fsome%2Ffeatures"
    assert find_place(folder / "v1" / "names") == Place("s3://b/some/features", "v1/names")
    assert say_cache(folder) == ["--cache", "s3://b/some/features"]


def test_mirrors_are_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIXGRID_MIRROR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert find_folder("gs://b") == Path("/xdg/fixgrid/buckets/gs%3A%2F%2Fb")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert find_folder("az://b").parent == Path("~/.cache/fixgrid/buckets").expanduser()


@pytest.mark.parametrize("typed", ["features", "~/features", "./s3", "ftp://b/p", "s3-features", "C:/features"])
def test_folders_are_as_they_were(typed: str) -> None:
    assert find_folder(typed) == Path(typed).expanduser()
    assert find_place(find_folder(typed)) is None
    assert say_place(Path(typed)) == str(Path(typed))


@pytest.mark.parametrize(
    "typed", ["s3://me:hidden@b/p", "s3:/", "s3://b/../p", "s3://b/p?x=1", "s3://" + "b" * 300]
)
def test_an_address_that_cannot_be_used_is_one_line_without_a_password(typed: str) -> None:
    with pytest.raises(UsageError, match=r"^found the cache \S+; expected s3://BUCKET/NAME, without") as refusal:
        find_folder(typed)
    assert "hidden" not in str(refusal.value)


def test_gc_of_a_bucket_is_refused_before_anything_is_asked() -> None:
    done = CliRunner().invoke(main, ["cache", "gc", "--yes", "--cache", "s3://b/p"])
    assert done.exit_code == 2
    assert "found the cache s3://b/p; expected a folder" in done.output


def test_settings_may_name_a_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fixgrid.toml").write_text('cache = "s3://b/toml"\n')
    assert "found the cache s3://b/toml;" in CliRunner().invoke(main, ["cache", "gc"]).output
    monkeypatch.setenv("FIXGRID_CACHE", "s3://b/environment")
    assert "found the cache s3://b/environment;" in CliRunner().invoke(main, ["cache", "gc"]).output


def test_a_library_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(objectstore, "import_module", fail)
    monkeypatch.setattr(bucket, "_opened", {})
    for scheme, package in (("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")):
        done = CliRunner().invoke(main, ["cache", "ls", "--cache", f"{scheme}://b/p"])
        assert done.exit_code == 2
        said = f"Error: found no {package}; expected it for --cache {scheme}://b/p: pip install 'fixgrid[{scheme}]'"
        assert done.output.splitlines()[-1] == said


def test_what_is_shared_is_told_by_its_name() -> None:
    shared = [
        "v1/ab/abc/sealed.json",
        "heads/a.json",
        "splits/a.csv",
        "predictions/v1/a/b/spec.json",
        "shares/v1/a",
    ]
    mine = ["v1/locks/a.lock", "speed/a.json", "v1/a/.tmp-b", "v1/a/features.damaged", ".gitignore", "", "hashes/a"]
    assert [name for name in [*shared, *mine] if is_shared(name)] == shared


@pytest.mark.parametrize(
    "name", ["v1/../../x.json", "v1//x.json", "/v1/x.json", "v1/./x", "v1/x/", "v1/a\0.json", ".."]
)
def test_no_objects_name_leads_out_of_a_mirror(name: str) -> None:
    assert not is_shared(name)


def test_features_are_named_by_their_content() -> None:
    named = name_content("v1/ab/abc/features.h5", "0123456789abcdef" * 4)
    assert named == "v1/ab/abc/features.0123456789abcdef.h5"
    assert drop_content(named) == "v1/ab/abc/features.h5"
    shard = "v1/ab/abc/shards/000000000-000000128.01234567.h5"
    assert drop_content(shard) == shard
