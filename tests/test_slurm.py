from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fixgrid.cache.errors import UsageError
from fixgrid.requests import Request
from fixgrid.slurm import list_words, write_script

SBATCH = """\
#!/bin/bash
echo "$@" >> "$LOG"
echo "$((100 + $(wc -l < "$LOG")));cluster"
"""
SCONTROL = """\
#!/bin/bash
[ "$1" = show ] && echo "MaxArraySize            = 4" || echo "scontrol $*" >> "$LOG"
"""
EXTRACT = """\
#!/bin/bash
echo "$*" >> "$LOG"
trap 'exit 130' TERM
for i in $(seq "${SECONDS_TO_RUN:-0}0"); do sleep .1; done
exit "${CODE:-0}"
"""


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """Programs that note how they are called; `LOG` has the lines."""
    for name, text in (("sbatch", SBATCH), ("scontrol", SCONTROL), ("fixgrid", EXTRACT), ("python", EXTRACT)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}


def write(tmp_path: Path, parts: int) -> Path:
    (tmp_path / "job.sh").write_text(write_script(Request(res="64", trunk="resnet18"), "my photos", parts))
    return tmp_path / "job.sh"


def run(script: Path, *words: str, **environment: str) -> tuple[int, list[str]]:
    code = subprocess.run(["bash", script, *words], env=environment, timeout=60, check=False).returncode
    return code, Path(environment["LOG"]).read_text().splitlines()


def test_the_script_submits_arrays_that_slurm_takes_and_a_job_that_seals(
    tmp_path: Path, cluster: dict[str, str]
) -> None:
    job = write(tmp_path, 10)
    code, lines = run(job, **cluster)
    assert (code, lines) == (
        0,
        [
            f"--parsable --array=0-3 {job} part 0",
            f"--parsable --array=0-3 {job} part 4",
            f"--parsable --array=0-1 {job} part 8",
            f"--parsable --dependency=afterany:101:102:103 {job} seal",
        ],
    )


def test_a_task_of_an_array_extracts_its_part(tmp_path: Path, cluster: dict[str, str]) -> None:
    _, lines = run(write(tmp_path, 10), "part", "8", **cluster, SLURM_ARRAY_TASK_ID="1", SLURM_CPUS_PER_TASK="3")
    assert len(lines) == 1
    assert lines[0].endswith("extract --data my photos --trunk resnet18 --res 64 --part 9/10 --workers 3")


def test_the_last_job_extracts_without_a_part(tmp_path: Path, cluster: dict[str, str]) -> None:
    _, lines = run(write(tmp_path, 10), "seal", **cluster)
    assert lines[0].endswith("extract --data my photos --trunk resnet18 --res 64 --workers auto")


def test_a_failure_is_the_jobs_own(tmp_path: Path, cluster: dict[str, str]) -> None:
    code, lines = run(write(tmp_path, 2), "part", "0", **cluster, SLURM_ARRAY_TASK_ID="0", CODE="3")
    assert (code, len(lines)) == (3, 1)


def test_before_its_time_is_up_a_task_stops_and_is_queued_again(tmp_path: Path, cluster: dict[str, str]) -> None:
    environment = {**cluster, "SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "77", "SECONDS_TO_RUN": "30"}
    with subprocess.Popen(["bash", write(tmp_path, 2), "part", "0"], env=environment) as task:
        log, until = Path(cluster["LOG"]), time.monotonic() + 30
        while not log.exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)  # until the program has its own trap
        task.send_signal(signal.SIGTERM)
        assert task.wait(timeout=30) == 130
    assert log.read_text().splitlines()[1:] == ["scontrol requeue 77"]


def test_the_command_has_what_was_asked_for_alone() -> None:
    asked = {"data": "a b", "res": [64, 128], "strict": True, "train_views": 2, "views": "", "seed": 3}
    assert list_words(asked) == ["--data", "a b", "--res", "64,128", "--strict", "--seed", "3"]


@pytest.mark.parametrize(
    ("request_", "parts", "line"),
    [
        (Request(), 0, "found --slurm 0; expected a number of parts, 1 or more."),
        (Request(trunk=object()), 2, "found a object as the trunk; expected what can be typed"),
    ],
)
def test_what_cannot_be_a_script_is_refused(request_: Request, parts: int, line: str) -> None:
    with pytest.raises(UsageError) as error:
        write_script(request_, "photos", parts)
    assert line in str(error.value)
