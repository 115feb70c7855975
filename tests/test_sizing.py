from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.embed import sizing
from fixgrid.embed.sizing import choose_device, choose_precision, size_workers


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(sizing, "read_available_bytes", lambda: 64 << 30)


def test_one_single_thread_worker_per_core(eight_cores: None) -> None:
    found = size_workers(20 << 20, "cpu")
    assert (found.workers, found.threads, found.decoders) == (8, 1, 0)


def test_a_trunk_of_3_gigabytes_gets_fewer_workers_with_more_threads(
    eight_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "read_available_bytes", lambda: 32 << 30)
    found = size_workers(3300 << 20, "cpu")
    assert (found.workers, found.threads) == (2, 4)


def test_there_is_always_a_worker(eight_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "read_available_bytes", lambda: 1 << 20)
    assert size_workers(3300 << 20, "cpu").workers == 1


def test_an_accelerator_gets_one_worker_and_the_cores_decode(eight_cores: None) -> None:
    found = size_workers(20 << 20, "cuda")
    assert (found.workers, found.decoders) == (1, 7)


@pytest.mark.parametrize(
    ("visible", "shown"), [(None, ["0", "1"]), ("5, GPU-7", ["5", "GPU-7"]), ("1,2,3", ["0", "1"])]
)
def test_every_accelerator_gets_a_worker_that_sees_it_alone(
    eight_cores: None, monkeypatch: pytest.MonkeyPatch, visible: str | None, shown: list[str]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = size_workers(20 << 20, "cuda")
    assert (found.workers, found.decoders) == (2, 3)
    assert [place["CUDA_VISIBLE_DEVICES"] for place in found.environments] == shown


def test_a_number_of_workers_is_obeyed(eight_cores: None) -> None:
    assert size_workers(20 << 20, "cpu", "3").workers == 3


@pytest.mark.parametrize("wanted", ["0", "many", "-1"])
def test_what_is_not_a_number_of_workers_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="expected auto or a whole number"):
        size_workers(1, "cpu", wanted)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="expected auto or cpu"):
        choose_device("tpu")


@pytest.fixture
def two_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "_has_cuda", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)


def test_an_accelerator_is_taken_by_its_number(eight_cores: None, two_accelerators: None) -> None:
    assert [choose_device(wanted) for wanted in ("auto", "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    found = size_workers(20 << 20, "cuda:1")
    assert (found.workers, found.environments) == (1, ({},))  # all are seen, one is taken


def test_the_memory_of_the_accelerator_that_is_named_counts(
    two_accelerators: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [SimpleNamespace(total_memory=8), SimpleNamespace(total_memory=4)]
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda i: sizes[i])
    assert [sizing.read_device_bytes(device) for device in ("cuda", "cuda:0", "cuda:1")] == [4, 8, 4]


@pytest.mark.parametrize("wanted", ["cuda:2", "gpu", "cuda:", "cuda:-1", "cpu:0"])
def test_an_accelerator_that_is_not_there_is_told_with_those_that_are(two_accelerators: None, wanted: str) -> None:
    with pytest.raises(UsageError, match="expected auto or cpu or cuda or cuda:0 or cuda:1 here"):
        choose_device(wanted)


def test_without_an_accelerator_it_is_said_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "_has_cuda", lambda: False)
    with pytest.raises(UsageError, match="'cuda:0'; expected auto or cpu here: torch finds no accelerator"):
        choose_device("cuda:0")


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="'bfloat16'; expected auto, fp32, bf16 or fp16"):
        choose_precision("bfloat16", "cpu")


def test_precision_is_full_on_a_cpu_unless_asked() -> None:
    assert choose_precision("auto", "cpu") == "fp32"
    assert choose_precision("auto", "cuda") == "bf16"
    assert choose_precision("fp16", "cpu") == "fp16"


def test_available_memory_is_read() -> None:
    assert sizing.read_available_bytes() > 1 << 20
