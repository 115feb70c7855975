from __future__ import annotations

import os

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


def test_precision_is_full_on_a_cpu_unless_asked() -> None:
    assert choose_precision("auto", "cpu") == "fp32"
    assert choose_precision("auto", "cuda") == "bf16"
    assert choose_precision("fp16", "cpu") == "fp16"


def test_available_memory_is_read() -> None:
    assert sizing.read_available_bytes() > 1 << 20
