"""Object stores and web servers, as fsspec reaches them: what opens one, and when a question is asked again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar

from .errors import FixgridError

EXTRAS = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az", "hf": "hf", "http": "http", "https": "http"}
"""Scheme to the extra of this package that brings what reads it."""
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "hf": "huggingface_hub", "http": "aiohttp"}
"""Extra to the package that reads it."""
IN_FLIGHT = 32
"""Questions that are asked at once: a store answers late, but many at a time."""
_CONNECT_S, _SILENCE_S = 5, 15  # until a connection is there, and of one that is and says nothing

# Asked again, these are answered alike. Those that no standard error is, by the names that the packages give them.
_FINAL = (
    FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError, ValueError,
    TypeError, FixgridError,
)  # fmt: skip
_NO_KEYS = ("Credential", "ProfileNotFound", "TokenRetrieval", "RefreshError")
_WRONG = ("ParamValidation",)

T = TypeVar("T")


class Unanswered(Exception):  # noqa: N818 - whoever asked names the error
    """A question was asked in vain: the last error, and how many times it was asked."""

    def __init__(self, error: Exception, times: int) -> None:
        super().__init__(error, times)
        self.error, self.times = error, times


def ask(question: Callable[[], T], waits_s: Iterable[float], patience_s: float = float("inf")) -> T:
    """What a question is answered; where asking again may help, it is asked again after each of some waits, s.

    Parameters
    ----------
    question : callable
    waits_s : iterable of float
    patience_s : float
        Nothing is asked again later than this after the first time.

    Raises
    ------
    Unanswered
    """
    began, waits, times = time.monotonic(), iter(waits_s), 0
    while True:
        times += 1
        try:
            return question()
        except Exception as error:  # each package has errors of its own
            wait = next(waits, None)
            late = wait is None or time.monotonic() - began + wait > patience_s
            if is_final(error) or wait is None or late:
                raise Unanswered(error, times) from error
        time.sleep(wait)


def is_final(error: Exception) -> bool:
    """Whether asking again is in vain."""
    status = find_status(error)
    named = any(word in type(error).__name__ for word in _WRONG)
    return (
        lacks_keys(error)
        or named
        or isinstance(error, _FINAL)
        or (400 <= status < 500 and status not in (408, 429))
    )


def find_status(error: Exception) -> int:
    """What a server answered, by HTTP's numbers; 0 if it did not, or the package does not tell."""
    status = getattr(error, "status", 0) or getattr(getattr(error, "response", None), "status_code", 0)
    return status if isinstance(status, int) else 0


def lacks_keys(error: Exception) -> bool:
    """Whether no credentials were found."""
    return any(word in type(error).__name__ for word in _NO_KEYS)


def find_kind(scheme: str) -> Any:
    """What makes the fsspec file system of a scheme.

    Raises
    ------
    ImportError
        If the package that reads it is not installed.
    """
    return import_module("fsspec").get_filesystem_class(scheme)


def open_system(scheme: str, url: str, **more: Any) -> Any:
    """The file system of a URL, for this very process, whose threads and sockets survive no fork.

    It remembers no listing. ``more`` are options of the file system's own.

    Raises
    ------
    ImportError
        See `find_kind`.
    """
    kind, extra = find_kind(scheme), EXTRAS[scheme]
    options: dict[str, Any] = {
        **kind._get_kwargs_from_urls(url),
        "skip_instance_cache": True,
        "use_listings_cache": False,
        **more,
    }
    if extra == "s3":
        configured = import_module("fsspec").config.conf.get("s3", {}).get("config_kwargs", {})
        options["config_kwargs"] = {
            "connect_timeout": _CONNECT_S,
            "read_timeout": _SILENCE_S,
            "max_pool_connections": IN_FLIGHT,
            "retries": {"total_max_attempts": 1},
            **configured,
        }
    elif extra == "http":
        aiohttp = import_module("aiohttp")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        options["client_kwargs"] = {"timeout": timeout}
    return kind(**options)
