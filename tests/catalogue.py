"""``python -m tests.catalogue``: write what the installed timm and torchvision say of every published trunk.

Parameters and multiply-adds are counted on the meta device, a second for each architecture and size. What the file
already has is kept if it was made of the same versions, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from fixgrid.cache.disk import commit_bytes
from fixgrid.cache.errors import FixgridError

FILE = Path(__file__).parent.parent / "embed" / "trunks" / "published.tsv"
FIELDS = ("name", "default", "px", "step", "params", "macs", "top1", "licence", "crop_mode", "weights")
LICENCES = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-4.0": "CC BY 4.0",
    "cc-by-nc-4.0": "CC BY-NC 4.0",
    "unknown": "",
}
"""timm's words; those of other licences are their names."""
GCVIT = "CC BY-NC-SA 4.0"
"""What timm's own source says of these weights; its metadata have its default instead."""
SWAG = "https://github.com/facebookresearch/SWAG/blob/main/LICENSE"
Row = dict[str, str]


def name_versions() -> str:
    """What a file was made of; its first line."""
    return f"# timm {version('timm')}, torchvision {version('torchvision')}"


def list_own() -> Iterator[Row]:
    """fixgrid's own names, whose licences their publishers' pages state."""
    from fixgrid.embed.trunks import fixgrid_trunks

    for name in fixgrid_trunks.list_names():
        source = fixgrid_trunks.find(name)
        licence = "CC BY-NC 4.0" if name.endswith("_wsl") else "Apache-2.0"
        px = source.preprocess.native_res
        yield {"name": name, "default": "1", "px": str(px), "licence": licence, "weights": source.weights}


def list_timm() -> Iterator[Row]:
    """Every tag of timm that has weights."""
    import timm

    for name in timm.list_pretrained():
        cfg = timm.get_pretrained_cfg(name)
        hub = f"hub:{cfg.hf_hub_id}" + (f"/{cfg.hf_hub_filename}" if cfg.hf_hub_filename else "")
        yield {
            "name": f"timm:{name}",
            "default": "1" if timm.get_pretrained_cfg(name.partition(".")[0]).tag == cfg.tag else "",
            "px": str(cfg.input_size[-1]),
            "licence": GCVIT if name.startswith("gcvit") else LICENCES.get(cfg.license or "", cfg.license or ""),
            "crop_mode": "" if cfg.crop_mode == "center" else cfg.crop_mode,
            "weights": hub if cfg.hf_hub_id else cfg.url,
        }


def list_torchvision() -> Iterator[Row]:
    """Every classifier of torchvision with every of its weights; its own licence but for SWAG's."""
    from torchvision import models

    for model in models.list_models(module=models):
        choices = models.get_model_weights(model)
        for weights in choices:
            stated = weights.meta.get("license", "BSD-3-Clause")
            yield {
                "name": f"torchvision:{model}.{weights.name}",
                "default": "1" if weights == choices.DEFAULT else "",
                "px": str(weights.transforms().crop_size[0]),
                "top1": str(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]),
                "licence": "CC BY-NC 4.0" if stated == SWAG else stated,
                "weights": weights.url,
            }


def count(name: str, px: int) -> Row:
    """Parameters and multiply-adds at `px`, as far as the meta device tells, and which sizes are taken."""
    from fixgrid.embed.trunks.library import find_source
    from fixgrid.embed.trunks.sizes import REFUSALS, Trial
    from fixgrid.embed.trunks.trunk import count_costs

    row: Row = {}
    try:
        source = find_source(name)
        costs = count_costs(name, px)
        row = {"params": str(costs.parameters), "macs": str(costs.macs)}
        return row | {"step": str(find_step(Trial(source.architecture, source.preprocess, None), px))}
    except (FixgridError, *REFUSALS) as error:
        print(f"\n{name} at {px} px: {str(error)[:120]}", file=sys.stderr)
        return row


def find_step(trial: Callable[[int], str], px: int) -> int:
    """Sizes taken are multiples of this (px); 1 if any is, 0 if none but the native one."""
    if not trial(px + 1):
        return 1
    least = getattr(trial, "step", 8)
    for step in sorted(least * factor * 2**power for factor in (1, 7) for power in range(9)):
        res = px // step * step + step
        if step <= px and (px % step == 0 or px % least) and not trial(res):  # SigLIP's 384 px are 27 patches of 14
            return step
    return 0


def read_rows() -> dict[str, Row]:
    """What the file has, if it was made of the installed versions."""
    if not FILE.is_file():
        return {}
    made_of, *lines = FILE.read_text(encoding="utf-8").splitlines()
    return {row["name"]: row for row in csv.DictReader(lines, delimiter="\t")} if made_of == name_versions() else {}


def write_rows(rows: list[Row]) -> None:
    """The file, sorted by name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, restval="", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["name"]))
    commit_bytes(FILE, f"{name_versions()}\n{text.getvalue()}".encode())


def main() -> None:
    """List, count, write."""
    known = read_rows()
    counted = ("params", "macs", "step")
    rows = [
        {key: known.get(row["name"], {}).get(key, "") for key in counted} | row
        for row in (*list_own(), *list_timm(), *list_torchvision())
    ]
    same: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        same.setdefault((row["name"].partition(".")[0], row["px"]), []).append(row)
    wanted = sys.argv[1:]
    began = time.monotonic()
    for number, ((name, px), alike) in enumerate(same.items()):
        if not alike[0]["step"] and (not wanted or any(word in alike[0]["name"] for word in wanted)):
            counts = count(name, int(px))
            for row in alike:
                row.update(counts)
            write_rows(rows)
            print(f"\r{number + 1}/{len(same)} {time.monotonic() - began:.0f} s {name}", end="", file=sys.stderr)
    write_rows(rows)


if __name__ == "__main__":
    main()
