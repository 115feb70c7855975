"""Export of cached features: a file for other programs, each line with its image, split, label and view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .asking import takes
from .cache.text import show_text
from .feature_requests import ExportFeaturesRequest
from .freshness import say_changes
from .heads.formats.catalogue import find_format, write_lines
from .heads.formats.lines import gather_lines
from .recording import records

_SHOWN = 20  # images without features; the file's metadata has all, where its format has metadata


@dataclass(frozen=True)
class ExportedFeatures:
    """What was written.

    Attributes
    ----------
    file : Path
    lines, images, dim : int
        Lines, the images that they are of, and features of each.
    skipped : list of dict
        Split, row id, path and status of the images without features.
    """

    file: Path
    lines: int
    images: int
    dim: int
    skipped: list[dict[str, Any]]

    def list_skipped(self) -> list[str]:
        """A line for each of the first images without features."""
        shown = [f"skipped {show_text(image['path'])}: {image['status']}" for image in self.skipped[:_SHOWN]]
        more = len(self.skipped) - len(shown)
        return [*shown, *[f"... and {more} more"] * bool(more)]


def _summarise(done: ExportedFeatures) -> dict[str, Any]:
    return {"file": str(done.file), "lines": done.lines, "dim": done.dim, "skipped": len(done.skipped)}


@takes(ExportFeaturesRequest)
@records(_summarise)
def export_features(request: ExportFeaturesRequest) -> ExportedFeatures:
    """Write cached features into one file for other programs: .npz, .parquet, .safetensors or CSV.

    Values are those of `fixgrid.open(...).load`, bit for bit; memory holds a block of them.

    Raises
    ------
    FixgridError
        If the cache lacks what is asked for or cannot be trusted, or the file cannot be written; an older file is
        untouched then.
    """
    out = Path(request.out).expanduser()
    find_format(out)  # refused before anything is read
    chosen = request.choose(request.view)
    say_changes(chosen.holdings, request.folder, request.watcher)
    lines = gather_lines(chosen.holdings, chosen.places)
    there = out.exists()
    write_lines(lines, out)
    if there:
        request.watcher.notice(f"note: replaced {out}")
    return ExportedFeatures(out, len(lines), int((lines.view == 0).sum()), lines.dim, lines.skipped)
