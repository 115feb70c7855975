"""How well near duplicates are found: copies of 30 kinds made of photographs, and pairs of photographs themselves.

Run from the project's root: python -m tests.bench twins --data DIR [--quick]. Writes twins.json, twins.md and
twins.png, a sheet of the pairs of photographs that are reported, each of which must be looked at: copies that the
photographs themselves hold are no mistakes.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageOps

import fixgrid
from fixgrid.cache.holdings import Holdings
from fixgrid.embed.copies import Copies
from fixgrid.heads.knn import unit_rows
from fixgrid.heads.twins import choose_res, find_twins

from .changes import CHANGES
from .photos import list_photos

_CHANGED, _SIDE_PX = 120, 160
_RES = 224


def main(out: Path, *, data: Path | None = None, quick: bool = False) -> None:
    """Measure and write what was found."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        name, photos = list_photos(data, folder)
        changed = _lay_out(photos[:200] if quick else photos, folder / "images", 12 if quick else _CHANGED)
        fixgrid.extract(folder / "images", res=[_RES], cache=folder / "cache")
        start, cpu = time.perf_counter(), time.process_time()
        found = fixgrid.duplicates(folder / "images", cache=folder / "cache")
        spent = {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
        record = {"data": name, **_measure(found, changed), **spent}
        pairs = _list_false(found)
        record["pairs of photographs"] = [[how, *map(str, files)] for how, *files in pairs]
        _draw([files for _, *files in pairs], folder / "images", out / "twins.png")
    (out / "twins.json").write_text(json.dumps(record, indent=1))
    (out / "twins.md").write_text(_format(record))
    print(_format(record))


def _lay_out(photos: list[Path], folder: Path, n: int) -> int:
    """Photographs as p00000.jpg, copies of the first ``n`` as c000-00.jpg: photograph, and kind of change."""
    folder.mkdir()
    for number, path in enumerate(photos):
        shutil.copy(path, folder / f"p{number:05d}.jpg")
    for number, path in enumerate(photos[:n]):
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image).convert("RGB")
        for kind, change in enumerate(CHANGES.values()):
            rng = np.random.default_rng([number, kind])
            change(image, rng).save(folder / f"c{number:03d}-{kind:02d}.jpg", quality=88)
    return min(n, len(photos))


def _measure(found: fixgrid.duplicating.Duplicates, changed: int) -> dict[str, object]:
    """Of each kind of copy: the share whose original is among its nearest, or the reverse; and that is proven."""
    holdings = found.holdings
    features = holdings.load("test", "center", choose_res(holdings))
    paths = [holdings.manifest.splits["test"].paths[row].decode() for row in features.row.tolist()]
    X, place = unit_rows(features.X[:, 0]), {path: number for number, path in enumerate(paths)}
    photos = np.array([path.startswith("p") for path in paths])
    kinds = {}
    copies = Copies(holdings.manifest, holdings.scale)
    for kind, name in enumerate(CHANGES):
        ends = [(place[f"p{n:05d}.jpg"], place[f"c{n:03d}-{kind:02d}.jpg"]) for n in range(changed)]
        first, second = np.array(ends).T
        cosines = np.einsum("ij,ij->i", X[first], X[second])
        others = X[photos]
        ranks = np.minimum(*((X[side] @ others.T > cosines[:, None] + 1e-6).sum(1) for side in (first, second)))
        rows = features.row
        asked = {
            (("test", int(rows[a])), ("test", int(rows[b]))): float(cosine)
            for (a, b), cosine in zip(ends, cosines, strict=True)
        }
        likeness = copies.compare(asked)
        kinds[name] = {
            "cosine, 5 % quantile": round(float(np.quantile(cosines, 0.05)), 3),
            **{f"among {k}": round(float((ranks <= k).mean()), 3) for k in (1, 3, 5)},
            "cosine >= .95": round(float((cosines >= 0.95).mean()), 3),
            "proven": round(float(np.mean([bool(one and one.how) for one in likeness])), 3),
        }
    return {"photographs": int(photos.sum()), "copies": len(paths) - int(photos.sum()), "kinds": kinds}


def _list_false(found: fixgrid.duplicating.Duplicates) -> list[tuple[str, str, str]]:
    """Pairs of photographs that would be reported if there were no copies beside them."""
    holdings = found.holdings
    paths = [path.decode() for path in holdings.manifest.splits["test"].paths]
    alone = find_twins(_Photographs(holdings), _RES, ["test"], Copies(holdings.manifest, holdings.scale))
    return [(twin.how, paths[twin.first[1]], paths[twin.second[1]]) for twin in alone.pairs]


class _Photographs:
    """The features of the photographs without those of their copies."""

    def __init__(self, holdings: Holdings) -> None:
        self.holdings = holdings

    def load(self, split: str, kind: str, res: int) -> object:
        whole = self.holdings.load(split, kind, res)
        paths = self.holdings.manifest.splits[split].paths
        kept = np.array([paths[row].startswith(b"p") for row in whole.row.tolist()])
        return type(whole)(whole.X[kept], whole.y[kept], whole.row[kept], whole.sha256[kept])


def _draw(pairs: list[list[str]], folder: Path, file: Path) -> None:
    sheet = Image.new("RGB", (2 * _SIDE_PX, max(1, len(pairs)) * _SIDE_PX), "white")
    for row, pair in enumerate(pairs):
        for column, name in enumerate(pair):
            with Image.open(folder / name) as image:
                image = image.convert("RGB")
            image.thumbnail((_SIDE_PX, _SIDE_PX))
            sheet.paste(image, (column * _SIDE_PX, row * _SIDE_PX))
    sheet.save(file)


def _format(record: dict) -> str:
    columns = list(next(iter(record["kinds"].values())))
    lines = [
        f"{record['copies']} copies of {record['photographs']} photographs ({record['data']}); `duplicates` took "
        f"{record['wall_s']:.1f} s, {record['cpu_s']:.1f} s of processor",
        "",
        f"| change | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(f"| {name} | {' | '.join(map(str, row.values()))} |" for name, row in record["kinds"].items()),
        "",
        f"{len(record['pairs of photographs'])} pairs of photographs reported; see twins.png",
    ]
    return "\n".join(lines) + "\n"
