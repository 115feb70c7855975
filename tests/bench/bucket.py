"""``python -m tests.bench.bucket FOLDER [--latency-ms 50] [--res 224]``: a folder here and the same in a bucket.

The bucket is moto's, on this machine and its cores, behind a proxy that answers that much later, and every
hundredth time not at all or by half. Features must be bit-identical; what is printed is how long it takes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bucket import NAME, serve_bucket


def extract(data: str, cache: Path, res: str) -> tuple[float, float]:
    """Seconds that all took, and images per second of the pass."""
    began = time.perf_counter()
    words = ("extract", "--data", data, "--res", res, "--cache", str(cache))
    done = subprocess.run([sys.executable, "cli.py", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    speed = re.search(r"\(([\d.]+) images/s\)", done.stdout + done.stderr)
    return time.perf_counter() - began, float(speed[1]) if speed else 0.0


def read_features(cache: Path) -> dict[str, bytes]:
    """Sealed bytes by their key."""
    return {file.parent.name: file.read_bytes() for file in cache.rglob("features.h5")}


def main() -> None:
    """Extract both, twice, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bucket", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--res", default="224")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, serve_bucket() as bucket:
        here, there = Path(scratch, "here"), Path(scratch, "there")
        bucket.put_folder(options.folder, "data")
        extract(str(options.folder), Path(scratch, "warm"), options.res)
        took, local = extract(str(options.folder), here, options.res)
        print(f"a folder here: {took:.1f} s in all, {local:.1f} images/s")
        bucket.latency_s = options.latency_ms / 1000
        bucket.faults.extend(islice(cycle([""] * 99 + ["refuse"] + [""] * 99 + ["cut"]), 1_000_000))
        took, far = extract(f"s3://{NAME}/data", there, options.res)
        asked = ", ".join(f"{n:,} {kind}" for kind, n in sorted(bucket.asked.items()))
        print(
            f"in a bucket {options.latency_ms:.0f} ms away: {took:.1f} s in all, {far:.1f} images/s, asked {asked}"
        )
        print(f"speed of the pass {far / local:.2f} of the folder's; at most {bucket.most_busy} objects at once")
        bucket.clear()
        took, _ = extract(f"s3://{NAME}/data/", there, options.res)
        asked = ", ".join(f"{n:,} {kind}" for kind, n in sorted(bucket.asked.items()))
        print(f"again: {took:.1f} s, asked {asked}")
        same = read_features(here) == read_features(there)
        print(f"features of {len(read_features(here))} keys: {'bit-identical' if same else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
