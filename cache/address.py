"""Names: of a cache in a bucket, of the folder of this machine that mirrors it, of a file's object."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, unquote

from .errors import UsageError

_BUCKET = re.compile(r"(s3|gs|az):/+(.*)", re.DOTALL)  # a Path has lost one of the slashes
_MIRROR = re.compile("(s3|gs|az)%3A%2F%2F")
_SHARED = ("v1", "shares", "predictions", "moments", "heads", "splits")
_LONGEST = 255  # bytes of a folder's name


class Place(NamedTuple):
    """Where an object is: the address of the cache, as ``s3://bucket/features``, and its name below that."""

    url: str
    name: str

    def __str__(self) -> str:
        return f"{self.url}/{self.name}".rstrip("/")


def is_bucket(cache: str | Path) -> bool:
    """Whether a cache is said to be in a bucket."""
    return _BUCKET.fullmatch(str(cache)) is not None


def find_folder(cache: str | Path) -> Path:
    """The folder of a cache on this machine: of one in a bucket the folder that mirrors it; ``~`` is expanded.

    Raises
    ------
    UsageError
        If it is no bucket's address.
    """
    found = _BUCKET.fullmatch(str(cache))
    if not found:
        return Path(cache).expanduser()
    scheme, rest = found[1], "/".join(part for part in found[2].split("/") if part)
    name = quote(f"{scheme}://{rest}", safe="")
    if not rest or re.search(r"[@?#\x00-\x1f]|(^|/)\.\.?(/|$)", rest) or len(name) > _LONGEST:
        shown = re.sub(r"[^/]*@", "", str(cache)).encode("unicode_escape").decode()[:100]
        raise UsageError(
            f"found the cache {shown}; expected {scheme}://BUCKET/NAME, without a password, an @, ? or #: keys "
            "come from the provider's own settings, as AWS_PROFILE."
        )
    return _find_mirrors() / name


def _find_mirrors() -> Path:
    own = os.environ.get("FIXGRID_MIRROR")
    usual = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "fixgrid" / "buckets"
    return Path(os.path.abspath(Path(own or usual).expanduser()))


def find_indexes() -> Path:
    """Where this machine keeps where the members of tar files are, here or in buckets; beside the mirrors."""
    return _find_mirrors() / "indexes"


def say_place(path: Path) -> str:
    """What a user calls a cache, or a file of one: in a mirror by its address in the bucket."""
    place = find_place(path)
    return str(place) if place else str(path)


def find_place(path: Path) -> Place | None:
    """The object that a file of a mirror stands for, whether or not others see it; None outside mirrors.

    A mirror is known by its folder's name alone, so that a worker on another machine knows it as well.
    """
    parts = path.parts
    for at, part in enumerate(parts):
        if _MIRROR.match(part):
            return Place(unquote(part), "/".join(parts[at + 1 :]))
    return None


def is_shared(name: str) -> bool:
    """Whether an object's name is of what all machines see; what only speeds one of them up stays there.

    Names that would lead out of a mirror are not.
    """
    path = PurePosixPath(name)
    return (
        path.parts[:1] != ()
        and path.parts[0] in _SHARED
        and str(path) == name
        and not {"..", "\0"} & {*path.parts, *name}
        and "locks" not in path.parts
        and not path.name.startswith(".")
        and path.suffix != ".damaged"
    )


def is_large(name: str) -> bool:
    """Whether a file is fetched only once it is read."""
    return name.endswith((".h5", ".safetensors"))


def name_content(name: str, sha256: str) -> str:
    """An object's name that tells its content, as ``features.0123456789abcdef.h5``."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}.{sha256[:16]}{path.suffix}"))


def drop_content(name: str) -> str:
    """The name without what `name_content` put there."""
    return re.sub(r"\.[0-9a-f]{16}(\.h5)$", r"\1", name)
