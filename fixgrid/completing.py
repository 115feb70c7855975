"""Names that a shell completes: trunks, data sets and kept heads. Nothing slow is imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from .cache.address import find_folder
from .cache.errors import FixgridError


def complete_trunk(begun: str, cache: str | Path) -> list[str]:
    """Names of trunks that a text begins: those of the cache, then those that are known by heart, then all others.

    Parameters
    ----------
    begun : str
        Of several with commas between them, the last is completed.
    cache : str or Path
        Need not be there.
    """
    before, comma, begun = begun.rpartition(",")
    return [f"{before}{comma}{name}" for name in _choose(begun, _list_trunks(begun, find_folder(cache)))]


def _list_trunks(begun: str, cache: Path) -> Iterator[str]:
    from .embed.trunks.catalogue import list_published, list_trunks

    yield from _list_labels(cache)
    yield from (entry.name for entry in list_trunks() if entry.available)
    if begun:
        names = [entry.tagged for entry in list_published()]
        yield from names
        yield from (name.partition(":")[2].partition(".")[0] for name in names)


def _list_labels(cache: Path) -> list[str]:
    if not cache.is_dir():
        return []
    from .cache.labels import Labels
    from .cache.store import FeatureStore

    with suppress(FixgridError, OSError):
        store = FeatureStore(cache)
        return list(Labels(store, store.sealed()).list_all())
    return []


def complete_data(begun: str, cache: str | Path) -> list[str]:
    """Names of data sets that a text begins: of the cache, and words; files are the shell's."""
    from .embed.sources.stanford import NAME
    from .embed.sources.torchvision import PREFIX, TORCHVISION

    words = ["sample", NAME, f"{NAME}:2020", *(f"{PREFIX}{name}" for name in TORCHVISION)]
    return _choose(begun, [*_list_data(find_folder(cache)), *words])


def _list_data(cache: Path) -> list[str]:
    if not cache.is_dir():
        return []
    from .cache.datasets import list_sources, name_here
    from .cache.store import FeatureStore

    with suppress(FixgridError, OSError):
        return [name_here(manifest) for manifest in list_sources(FeatureStore(cache)).values()]
    return []


def complete_head(begun: str, cache: str | Path) -> list[str]:
    """Kept heads that a text begins, by name or path without suffix; other files are the shell's."""
    kept = [file.with_suffix("") for file in (find_folder(cache) / "heads").glob("*.safetensors")]
    return _choose(begun, sorted(str(file) if "/" in begun else file.name for file in kept))


def _choose(begun: str, names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(begun)]
