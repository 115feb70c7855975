"""Where the members of tar files are, kept on this machine: to find them takes reading all headers."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np

from fixgrid.cache.address import find_indexes
from fixgrid.cache.disk import commit_bytes, read_file
from fixgrid.cache.errors import DiskError
from fixgrid.cache.strings import Strings

from .index import Index
from .scan import Scan
from .tar import Tar

_FORM = 1
_MANY = 1000  # files below which headers are read as soon
_RACY_NS = 2_000_000_000  # as of hashes: what changed just now may change again in the same tick


class KeptTar(Tar):
    """A tar file whose headers are read once on each machine for as long as it is the same."""

    def scan(self) -> Scan:
        """See `Tar`; remembered if that takes long, and if times or an ETag tell that it is the same."""
        stamp = self.blob.stamp()
        name = hashlib.sha256(json.dumps([_FORM, self.place, stamp]).encode()).hexdigest()[:32]
        file = find_indexes() / f"{name}.npz"
        if found := _read(file):
            return found
        found = super().scan()
        old = max(stamp[1:3]) < time.time_ns() - _RACY_NS and len(found.index.names) + len(found.texts) >= _MANY
        if max(stamp[1:]) > 0 and (self.blob.is_far or old):
            with suppress(DiskError):  # it is found again next time
                commit_bytes(file, _pack(found))
        return found


def _pack(scan: Scan) -> bytes:
    packed = io.BytesIO()
    strings = {"names": scan.index.names, "text_names": scan.text_names, "texts": scan.texts}
    arrays = {f"{name}_{part}": getattr(one, part) for name, one in strings.items() for part in ("text", "ends")}
    others = [[why, suffix.decode("latin1"), n] for (why, suffix), n in scan.others.items()]
    arrays["others"] = np.frombuffer(json.dumps(others).encode(), np.uint8)
    np.savez(packed, starts=scan.index.starts, lengths=scan.index.lengths, **arrays)
    return hashlib.sha256(packed.getvalue()).digest() + packed.getvalue()


def _read(file: Path) -> Scan | None:
    """What was packed; None if there is nothing, or not all of it."""
    try:
        data = read_file(file)
    except OSError:
        return None
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        return None
    with np.load(io.BytesIO(data[32:]), allow_pickle=False) as arrays:
        names, text_names, texts = (
            Strings(arrays[f"{name}_text"], arrays[f"{name}_ends"]) for name in ("names", "text_names", "texts")
        )
        others = json.loads(arrays["others"].tobytes())
        index = Index(names, arrays["starts"], arrays["lengths"])
    return Scan(index, text_names, texts, Counter({(why, suffix.encode("latin1")): n for why, suffix, n in others}))
