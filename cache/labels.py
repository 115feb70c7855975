"""What trunks are called: names that users gave, and labels that tell apart what one name stands for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import combinations
from typing import Any, NamedTuple

from .disk import commit_bytes, is_refused, read_file
from .errors import CacheError, DiskError, UsageError, say_command
from .key import Spec
from .sealed import Sealed
from .store import FeatureStore

SHORT, SHORTEST = 8, 4
"""Hex digits of a digest that a label shows, and that one must have."""


class Version(NamedTuple):
    """What tells trunks apart whose features must not be mixed, whatever kind of features of it."""

    architecture: str
    weights_sha256: str
    precision: str
    dtype: str

    def list_tokens(self) -> Iterator[str]:
        """What may stand behind a name and an @, the usual first."""
        yield self.weights_sha256[:SHORT]
        yield self.precision
        yield self.dtype
        yield self.architecture.rpartition("@")[2][:SHORT]

    def bears(self, token: str) -> bool:
        """Whether a token fits: the beginning of a digest, a precision or a stored type."""
        digests = self.weights_sha256, self.architecture.rpartition("@")[2]
        begins = len(token) >= SHORTEST and any(digest.startswith(token) for digest in digests)
        return begins or token in (self.precision, self.dtype)


class Name(NamedTuple):
    """What a trunk was called once: by the user, empty if by nobody, and by whom its weights come from."""

    called: str
    trunk: str

    @property
    def own(self) -> str:
        """What it is called first of all."""
        return self.called or self.trunk


def find_version(spec: Spec) -> Version:
    """The version that made features."""
    trunk = spec.trunk
    return Version(str(trunk["architecture"]), str(trunk["weights_sha256"]), spec.precision, spec.dtype)


def find_stem(sealed: Sealed) -> Version:
    """The version that made features, as it was before it was recalibrated."""
    version, origin = find_version(sealed.spec), sealed.origin
    return version if origin is None else version._replace(weights_sha256=str(origin.get("weights_sha256")))


def read_name(sealed: Sealed) -> Name:
    """What a trunk was called when its features were sealed."""
    return Name(str(sealed.provenance.get("called", "")), sealed.trunk_name)


def record_name(store: FeatureStore, version: Version, name: Name) -> None:
    """Keep what a trunk is called beside its features: their seals know the first name alone.

    Every name is a file of its own, so that runs that name trunks at the same time lose none. Where nothing may be
    written, a library's name is no loss.

    Raises
    ------
    DiskError
        If it cannot be written.
    """
    content = json.dumps({**name._asdict(), **version._asdict()}, sort_keys=True).encode("ascii")
    file = store.folder / "names" / f"{hashlib.sha256(content).hexdigest()[:16]}.json"
    if not file.exists():
        try:
            commit_bytes(file, content)
        except DiskError as error:
            if name.called or not is_refused(error):
                raise


class Labels:
    """What the trunks of some features are called.

    Parameters
    ----------
    store : FeatureStore
        Where more names are recorded.
    entries : iterable of Sealed
        Those of recalibrated trunks are passed over.
    """

    def __init__(self, store: FeatureStore, entries: Iterable[Sealed]) -> None:
        self.names: dict[Version, set[Name]] = {}
        for entry in entries:
            if entry.origin is None:
                self.names.setdefault(find_version(entry.spec), set()).add(read_name(entry))
        for file in sorted((store.folder / "names").glob("*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):  # a damaged record is a name less
                record: Mapping[str, Any] = json.loads(read_file(file))
                version = Version(*(str(record[field]) for field in Version._fields))
                if version in self.names:
                    self.names[version].add(Name(str(record["called"]), str(record["trunk"])))

    def find(self, wanted: str) -> list[Version]:
        """The versions that a label may mean.

        Those that the user called so, or nobody otherwise; else those of a library's name; else, of ``NAME@TOKEN``,
        those by either name that bear the token.
        """
        owned = [version for version, names in self.names.items() if wanted in (name.own for name in names)]
        return owned or self._find_any(wanted)

    def _find_any(self, wanted: str) -> list[Version]:
        named = {version: {text for name in names for text in name} for version, names in self.names.items()}
        found = [version for version, texts in named.items() if wanted in texts - {""}]
        name, at, token = wanted.rpartition("@")
        return [version for version in self._find_any(name) if version.bears(token)] if at and not found else found

    def label(self, version: Version, wanted: str | None = None) -> str:
        """The shortest label that means one version alone; by the name in ``wanted``, if that is one of its own."""
        owns = sorted(name.own for name in self.names[version])
        given = sorted(name.called for name in self.names[version] if name.called)
        name = wanted if wanted in owns else (given or owns)[0]
        if self.find(name) == [version]:
            return name
        rivals, known = set(self._find_any(name)) - {version}, list(version.list_tokens())
        for tokens in (tokens for count in range(1, 5) for tokens in combinations(known, count)):
            if not any(all(map(rival.bears, tokens)) for rival in rivals):
                return "@".join((name, *tokens))
        return "@".join((name, version.weights_sha256, *version[2:]))

    def list_all(self) -> dict[str, Version]:
        """Every version by its label, in alphabetical order."""
        return dict(sorted((self.label(version), version) for version in self.names))

    def choose(self, wanted: str | None, command: str = "") -> Version:
        """The version that a label means, or the only one if there is none.

        Parameters
        ----------
        wanted : str or None
        command : str
            What to type if there is none; ``extract`` alone if empty.

        Raises
        ------
        CacheError
            If it means none.
        UsageError
            If it means several.
        """
        known = self.list_all()
        found = list(known.values()) if wanted is None else self.find(wanted)
        if not found:
            asked = "no trunk with complete features" if wanted is None else f"no features of {wanted}"
            held = ", ".join(known) or "none"
            raise CacheError(f"{asked}; the cache holds {held}: run {command or say_command('extract')} first.")
        if len(found) > 1:
            held = ", ".join(label for label, version in known.items() if version in found)
            what = "more than one trunk" if wanted is None else f"{len(found)} trunks called {wanted}"
            raise UsageError(f"the cache holds {what} ({held}): choose with --trunk.")
        return found[0]
