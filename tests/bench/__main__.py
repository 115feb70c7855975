"""``python -m tests.bench [extract|heads|twins|ray] [--quick] [--large] [--data DIR] [--other TOOL=PYTHON]``.

Results go to bench-results/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

RESULTS = Path("bench-results")


def main() -> None:
    """Measure extraction, heads, or both; how well near duplicates are found; or what a Ray cluster costs."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure speed and memory.")
    parser.add_argument(
        "what", nargs="?", choices=["extract", "heads", "twins", "ray"], help="the first two if not given"
    )
    parser.add_argument("--quick", action="store_true", help="a short round: does it work at all")
    parser.add_argument("--large", action="store_true", help="a trunk of 3.3 GB too")
    parser.add_argument("--data", type=Path, metavar="DIR", help="photographs in a folder per class")
    parser.add_argument("--other", action="append", default=[], metavar="TOOL=PYTHON", help="see others.py")
    options = parser.parse_args()
    if options.what == "twins":
        from . import bench_twins

        return bench_twins.main(RESULTS, data=options.data, quick=options.quick)
    if options.what == "ray":
        from . import bench_ray

        return bench_ray.main(RESULTS, data=options.data, quick=options.quick)
    # Each is imported when it is its turn: the heads' measurement must not hold torch in memory.
    if options.what != "heads":
        from . import bench_extract

        others = dict(pair.split("=", 1) for pair in options.other)
        bench_extract.main(RESULTS, data=options.data, quick=options.quick, large=options.large, others=others)
    if options.what != "extract":
        from . import bench_heads

        bench_heads.main(RESULTS)


if __name__ == "__main__":
    main()
