from __future__ import annotations

import json
from pathlib import Path

import pytest
from entries import fill_entry, make_rows
from test_cli import run

from fixgrid.cache.errors import UsageError
from fixgrid.cache.rows import Manifest
from fixgrid.cache.rowsfile import write_manifest
from fixgrid.cache.store import FeatureStore
from fixgrid.embed import doctor
from fixgrid.embed.decode import decode_rgb
from fixgrid.embed.doctor import Check, Timing, examine_cache, examine_installation, examine_speed

ROWS = make_rows(70)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore(tmp_path / "cache")
    store.create()
    store.root.chmod(0o755)
    return store


def find(checks: list[Check], name: str) -> Check:
    (found,) = (check for check in checks if check.check == name)
    return found


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes(data)


def test_this_installation_is_fit() -> None:
    checks = examine_installation()
    assert {check.check for check in checks} >= {
        "python",
        "libraries",
        "torch pair",
        "cores and memory",
        "accelerator",
    }
    assert not [check for check in checks if check.state == "broken"]
    assert all(check.do for check in checks if check.state != "ok")


def test_a_missing_library_breaks_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", (*doctor.PACKAGES, "no-such-package"))
    found = find(examine_installation(), "libraries")
    assert (found.state, "no-such-package missing" in found.found) == ("broken", True)
    assert "requirements.txt" in found.do


def test_a_torchvision_of_another_torch_breaks_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    def fail(*args: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.setattr(torchvision.ops, "nms", fail)
    checks = examine_installation()
    found = find(checks, "torch pair")
    assert found.state == "broken"
    assert found.found.endswith("operator torchvision::nms does not exist")
    assert "accelerator" not in {check.check for check in checks}


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "read_available_bytes", lambda: 1 << 20)
    assert find(examine_installation(), "cores and memory").state == "warn"


def test_a_cache_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    checks = examine_cache(tmp_path / "none" / "deeper")
    assert {check.state for check in checks} <= {"ok", "warn"}
    assert find(checks, "cache").do == "python cli.py extract"
    assert not (tmp_path / "none").exists()


def test_entries_are_counted(store: FeatureStore) -> None:
    fill_entry(store, ROWS)
    fill_entry(store, ROWS, res=64, seal=False)
    found = find(examine_cache(store.root), "cache")
    assert (found.state, found.do) == ("ok", "run extract again")
    assert "1 keys sealed, 1 incomplete, 0 rows without features" in found.found


def test_damaged_rows_break_the_cache_and_damaged_features_do_if_hashed(store: FeatureStore) -> None:
    write_manifest(store.folder / "data", Manifest("dogs", "/dogs", ("a", "b"), {"train": ROWS}))
    entry = fill_entry(store, ROWS)
    flip(entry.sealed_file)
    assert find(examine_cache(store.root), "cache").state == "ok"
    assert find(examine_cache(store.root, deep=True), "cache").state == "broken"
    (entry.folder / "rows.h5").write_bytes(b"")
    assert find(examine_cache(store.root), "cache").state == "broken"


def test_rights_of_everyone_are_a_warning_with_its_cure(store: FeatureStore) -> None:
    assert find(examine_cache(store.root), "cache rights").state == "ok"
    store.root.chmod(0o777)
    found = find(examine_cache(store.root), "cache rights")
    assert (found.state, found.do) == ("warn", f"chmod o-w {store.root}")


@pytest.mark.parametrize(("kind", "state"), [("tmpfs", "warn"), ("nfs4", "warn"), ("ext4", "ok"), ("", "ok")])
def test_memory_and_network_file_systems_are_warnings(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, kind: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "find_filesystem", lambda folder, mounts: kind)
    assert find(examine_cache(store.root), "file system").state == state


@pytest.mark.parametrize(
    ("timing", "decoders", "name"),
    [
        (Timing(5.0, 1.0, 10.0, "x"), 0, "the trunk"),
        (Timing(50.0, 1.0, 10.0, "x"), 0, "decoding and cropping"),
        (Timing(50.0, 1.0, 10.0, "x"), 10, "the trunk"),
    ],
)
def test_the_bottleneck_is_the_larger_share(
    monkeypatch: pytest.MonkeyPatch, timing: Timing, decoders: int, name: str
) -> None:
    from fixgrid.embed.sizing import Sizing

    monkeypatch.setattr(doctor, "_time_trunk", lambda trunk, device: (timing, 1 << 20))
    monkeypatch.setattr(doctor, "size_workers", lambda weights_bytes, device: Sizing(3, 1, decoders))
    checks = examine_speed("efficientnet_lite0")
    assert find(checks, "bottleneck").found.startswith(name + ":")
    assert "--workers 3 --backend x" in find(checks, "recommended").do


def test_a_trunk_that_is_not_here_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (only,) = examine_speed("torchvision:resnet18")
    assert "not timed" in only.found
    with pytest.raises(UsageError):
        examine_speed("nosuch")


def test_the_generated_photograph_is_one() -> None:
    data = doctor.draw_jpeg()
    assert decode_rgb(data).size == (500, 375)
    assert data[:2] == b"\xff\xd8"


def test_doctor_ends_with_4_where_the_cache_is_broken(store: FeatureStore) -> None:
    fill_entry(store, ROWS)
    spec = next(store.folder.glob("*/*/spec.json"))
    spec.write_bytes(b"{}")
    checks = json.loads(run("doctor", "--cache", store.root, "--format", "json", code=4).stdout)
    assert [check["check"] for check in checks if check["state"] == "broken"] == ["cache"]
    assert {"speed", "bottleneck", "recommended"} <= {check["check"] for check in checks}


def test_commands_warn_of_a_cache_that_everyone_may_write_to(store: FeatureStore) -> None:
    store.root.chmod(0o777)
    for words in (("grid",), ("extract", "--data", store.root / "none", "--res", "32")):
        done = run(*words, "--cache", store.root, code=4 if words == ("grid",) else 3)
        assert done.stderr.count("warning: ") == 1
    store.root.chmod(0o755)
    assert "warning" not in run("grid", "--cache", store.root, code=4).stderr
