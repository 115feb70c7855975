"""Doubtful labels on the page: the first photographs, what is to be said, and all of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fixgrid.cache.errors import FixgridError, say_command
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.text import show_path

from .label_error_table import format_ranking, name_label, name_twin, say_ranking
from .label_errors import Ranking, rank_labels
from .shots import Album, Shot
from .twins import choose_res

_PHOTOGRAPHS = 12
_MOST_JUDGED = 20_000  # images; folds of so many take minutes
_MOST_LINES = 100_000
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Doubtful:
    """What a page shows of doubtful labels.

    Attributes
    ----------
    said : sequence of str
        How they were judged, or why they were not.
    shots : sequence of Shot
        The first of them.
    csv : str
        The list; empty if there is none.
    """

    said: Sequence[str]
    shots: Sequence[Shot] = ()
    csv: str = ""


def show_doubtful(
    holdings: Holdings,
    album: Album,
    folder: Path | None = None,
    *,
    command: str | None = None,
    files: str = "report_files",
) -> Doubtful:
    """The labels that `fixgrid.label_errors` would list, with photographs.

    Parameters
    ----------
    holdings : Holdings
    album : Album
    folder : Path, optional
        Where answers are remembered.
    command : str, optional
        What lists them in a terminal.
    files : str
        Folder of the page's lists.
    """
    command = command or say_command("label-errors")
    images = sum(map(len, holdings.manifest.splits.values()))
    if images > _MOST_JUDGED:
        return Doubtful([f"Labels of {images:,} images are too many to judge for a page: {command} does."])
    try:
        res = choose_res(holdings)
        found = rank_labels(holdings, res, _FOLDS, folder)
    except FixgridError as error:
        return Doubtful([f"Labels were not judged: {error}"])
    shots = [
        Shot(jpeg, name_label(found, i, "given"), _say(found, i), show_path(found.path(i)))
        for i in range(min(_PHOTOGRAPHS, len(found)))
        if (jpeg := album.thumbnail(str(found.split[i]), int(found.row[i]))) is not None
    ]
    listed = min(len(found), _MOST_LINES)
    what = "All" if listed == len(found) else f"The first {listed:,}"
    where = f"{what} are in {files}/label_errors.csv; {command} lists them, too."
    return Doubtful([*say_ranking(found, res, _FOLDS), where], shots, format_ranking(found, "csv", listed))


def _say(found: Ranking, i: int) -> str:
    """What heads take an image for, and how sure they are of either label."""
    likely = name_label(found, i, "likely")
    if found.share is None:
        return f"taken for {likely}, {abs(found.off[i]):.2f} standard deviations off"
    twin = name_twin(found, i)
    same = f"; the same file as {show_path(twin[0])}: {twin[1]}" if twin else ""
    given, chance = 100 * found.p_given[i], 100 * found.p_likely[i]
    if given >= chance:
        return f"taken for that, {given:.1f} %{same}"
    return f"taken for {likely}, {chance:.1f} % against {given:.1f} %{same}"
