"""A script that has Slurm extract in parts, and then seal. Pure text."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from .cache.errors import UsageError, say_command
from .requests import Request

_SCRIPT = """\
#!/bin/bash
# Extracts in {parts} parts: read it, set what your cluster wants in the lines of #SBATCH, then: bash THIS-FILE
# Each part commits what it computes to the cache, which all nodes must see. What is killed or requeued goes on
# where it was; the last job computes what is missing, normally nothing, and seals the features.
#SBATCH --job-name=fixgrid
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
##SBATCH --gpus-per-task=1
##SBATCH --partition=...
set -euo pipefail

parts={parts}
extract=({command})

if [ "$#" -eq 0 ]; then # on a login node: arrays no longer than Slurm takes, then one job behind all of them
    most=$(scontrol show config | awk '$1 == "MaxArraySize" {{ print $3 }}')
    most=${{most:-1001}} # one more than the largest index
    jobs=""
    for ((first = 0; first < parts; first += most)); do
        last=$((parts - first < most ? parts - first - 1 : most - 1))
        id=$(sbatch --parsable --array=0-"$last" "$0" part "$first")
        jobs="$jobs:${{id%%;*}}"
    done
    id=$(sbatch --parsable --dependency=afterany"$jobs" "$0" seal)
    echo "submitted: parts$jobs, then ${{id%%;*}}, which seals"
    exit
fi

if [ "$1" = part ]; then
    "${{extract[@]}}" --part "$(($2 + SLURM_ARRAY_TASK_ID))/$parts" --workers "${{SLURM_CPUS_PER_TASK:-auto}}" &
else
    "${{extract[@]}}" --workers "${{SLURM_CPUS_PER_TASK:-auto}}" &
fi
work=$!
trap 'kill -TERM $work' TERM # 120 s before the time is up: it commits what it has
code=0
wait $work || code=$?
if kill -0 $work 2>/dev/null; then # a signal ended the wait, not the work
    code=0
    wait $work || code=$?
fi
if [ "$code" -eq 130 ] || [ "$code" -eq 143 ]; then # stopped, not failed
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""
_NOT_OF_EXTRACT = ("watcher", "calibrate", "slurm", "workers")


def write_script(request: Request, data: str, parts: int) -> str:
    """The script: run as it is it submits itself, as arrays of parts and a job that seals.

    Parameters
    ----------
    request : Request
        What to extract.
    data : str
        The data set's name.
    parts : int

    Raises
    ------
    UsageError
        If there are no parts, or the trunk cannot be typed.
    """
    if parts < 1:
        raise UsageError(f"found --slurm {parts}; expected a number of parts, 1 or more.")
    words = list_words({**{one.name: getattr(request, one.name) for one in fields(request)}, "data": data})
    return _SCRIPT.format(parts=parts, command=f"{say_command('extract')} {shlex.join(words)}")


def list_words(asked: Mapping[str, Any]) -> list[str]:
    """Arguments of `fixgrid.extract` as options of the command, where they are not the usual ones.

    Raises
    ------
    UsageError
        If one cannot be typed.
    """
    usual = {one.name: one.default for one in fields(Request)}
    words: list[str] = []
    for name, value in asked.items():
        if name in _NOT_OF_EXTRACT or value in (None, "", (), usual.get(name)):
            continue
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, _write(name, value)]
    return words


def _write(name: str, value: Any) -> str:
    if isinstance(value, str | Path | int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return ",".join(_write(name, one) for one in value)
    raise UsageError(
        f"found a {type(value).__name__} as the {name}; expected what can be typed, such as FILE.py:function."
    )
