from __future__ import annotations

import subprocess
import sys

from conftest import ROOT


def test_short_form_of_every_fault_suite_loses_nothing() -> None:
    command = [sys.executable, "-m", "tests.faults", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("0 rows lost, 0 rows silently wrong, 0 crashes")
