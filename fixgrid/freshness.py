"""Answers from features of images that changed since: said, with the command that brings the cache up to date."""

from __future__ import annotations

from pathlib import Path

from .cache.holdings import Holdings
from .cache.rows import Manifest
from .embed.changes import find_changes
from .embed.watcher import Watcher
from .heads.artifact import SavedHead


def say_changes(holdings: Holdings, folder: Path, watcher: Watcher) -> None:
    """A notice if the data set is no longer what the features are of; see `fixgrid.embed.changes.find_changes`.

    Parameters
    ----------
    holdings : Holdings
    folder : Path
        The cache.
    watcher : Watcher
    """
    said = find_changes(holdings.manifest, folder).describe()
    if said:
        watcher.notice(
            f"note: {holdings.manifest.source} has changed since it was extracted ({said}); what follows is of the "
            f"images as they were. To bring the cache up to date: {holdings.say_extract()}"
        )


def say_other_images(saved: SavedHead, found: Manifest, split: str, watcher: Watcher) -> None:
    """A notice if a head's own data set has other images in a split than when the head was fitted."""
    then = saved.data.get("splits", {}).get(split, {})
    now = found.splits[split]
    if saved.data.get("source") == found.source and then and then.get("rows_sha256") != now.digest:
        watcher.notice(
            f"note: {found.source} has changed since the head was fitted: {split} had {then.get('images')} images, "
            f"these are {len(now)}; its figures of then are of others"
        )
