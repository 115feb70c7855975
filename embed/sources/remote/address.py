"""URLs of object stores and web servers: which are taken, how they are kept, and what reads them."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from fixgrid.cache.errors import UsageError
from fixgrid.cache.objectstore import EXTRAS

NAME = "remote"
"""Of what opens images behind a URL in the table of sources: what their root begins with."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


class Address(NamedTuple):
    """A URL without credentials: ``s3://photos/dogs`` is of the scheme ``s3``, and its place ``photos/dogs``."""

    scheme: str
    place: str

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        return self.url

    @property
    def url(self) -> str:
        """As it is kept, and shown."""
        return f"{self.scheme}://{self.place}"

    @property
    def is_web(self) -> bool:
        """Whether it is a web server's, which lists nothing."""
        return EXTRAS[self.scheme] == "http"

    @property
    def name(self) -> str:
        """The last part of its place."""
        return posixpath.basename(self.place)

    def go_up(self) -> Address:
        """What holds it."""
        return self._replace(place=posixpath.dirname(self.place))


def is_address(text: str) -> bool:
    """Whether a text is a URL, of whatever scheme."""
    return _URL.match(text) is not None


def read_address(text: str) -> Address:
    """What a URL says, one slash at its end or none.

    Raises
    ------
    UsageError
        If it is of an unknown scheme, names no bucket or server, or holds credentials, which would be kept.
    """
    found = _URL.match(text)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", text)
    if scheme not in EXTRAS:
        known = [f"{one}://" for one in EXTRAS]
        raise UsageError(f"found {scheme}:// for a data set; expected {', '.join(known[:-1])} or {known[-1]}.")
    server, slash, path = rest.partition("/")
    hidden = f"{scheme}://.../{posixpath.basename(path.partition('?')[0])}"
    web = EXTRAS[scheme] == "http"
    if ("@" in server and (scheme != "abfs" or ":" in server)) or (web and ("?" in path or "#" in path)):
        raise UsageError(
            f"found credentials or a query in {hidden}, which would be kept and shown; expected a plain URL: keys "
            "belong into the environment or the files of the store's own tools."
        )
    if not server or (web and not urlsplit(f"{scheme}://{server}").hostname):
        raise UsageError(f"found {text} for a data set; expected {scheme}://{'SERVER' if web else 'BUCKET'}/PLACE.")
    return Address(scheme, f"{server}{slash}{path}".rstrip("/"))
