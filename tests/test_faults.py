from __future__ import annotations

import re
import subprocess
import sys

from conftest import ROOT
from faults.__main__ import SUITES
from faults.guards import GUARDS
from faults.rows import OPEN, ROWS


def test_short_form_of_every_fault_suite_loses_nothing() -> None:
    command = [sys.executable, "-m", "tests.faults", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("0 rows lost, 0 rows silently wrong, 0 crashes")


def test_every_promise_names_tests_and_guards_that_exist() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    known = {*SUITES, *re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert list(ROWS) == list(range(1, 34))
    assert {n: missing for n, row in ROWS.items() if (missing := set(row.tests) - known)} == {}
    assert {n: missing for n, row in ROWS.items() if (missing := set(row.guards) - set(GUARDS))} == {}
    assert OPEN.keys() <= ROWS.keys()
