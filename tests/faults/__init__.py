"""Fault injection: what a kill, a full disk, a damaged file or a hostile one does to an extraction.

Run with ``python -m tests.faults``. Every suite is a function of its size that returns a `Result`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
