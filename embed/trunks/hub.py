"""Files of Hugging Face's hub: those in its cache are used as they are, others are fetched if the hub answers."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from fixgrid.cache.errors import UsageError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""What weights are called there, in the order in which they are looked for."""


def split_revision(repo: str) -> tuple[str, str | None]:
    """``ORG/NAME`` and the revision, if one is named, of ``ORG/NAME[@REVISION]``."""
    name, _, revision = repo.partition("@")
    return name, revision or None


def find_file(repo: str, names: Sequence[str]) -> Path | None:
    """The first file of those names that an earlier download left in the hub's cache, or None.

    Parameters
    ----------
    repo : str
        ``ORG/NAME[@REVISION]``.
    names : sequence of str
    """
    from huggingface_hub import try_to_load_from_cache

    repo_id, revision = split_revision(repo)
    for name in names:
        found = try_to_load_from_cache(repo_id, name, revision=revision)
        if isinstance(found, str):
            return Path(found)
    return None


def fetch_file(repo: str, names: Sequence[str]) -> Path:
    """The same, fetched if it is not here.

    Raises
    ------
    UsageError
        If it cannot be had, or there is no such repository or file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError

    repo_id, revision = split_revision(repo)
    try:
        if here := find_file(repo, names):
            return here
        expect_hub()
        for name in names:
            try:
                return Path(hf_hub_download(repo_id, name, revision=revision))
            except RemoteEntryNotFoundError:
                continue
    except HFValidationError as error:
        raise UsageError(f"found {repo!r}; expected ORG/NAME, as its page is called.") from error
    except OSError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UsageError(
            f"cannot fetch {names[0]} of {repo} ({reason}): check the name and the connection, or fetch its files "
            "elsewhere and give their folder as local-dir:PATH, or as transformers:PATH."
        ) from error
    raise UsageError(f"found none of {', '.join(names)} in {repo}; expected one: name another model.")


def expect_hub(timeout_s: float = 10.0) -> None:
    """Nothing, if the hub answers one request, through a proxy if one is set.

    The hub's own client repeats a request six times with pauses, for each of two file names: 47 s without a
    network, and no setting shortens it. One that answers within `timeout_s`, which is the client's own limit,
    keeps every repeat.

    Raises
    ------
    OSError
        If it does not answer.
    """
    from huggingface_hub.constants import ENDPOINT

    try:
        with urlopen(Request(ENDPOINT, method="HEAD"), timeout=timeout_s):
            return
    except HTTPError:
        return  # it answered
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # the hub's client may trust more
            raise
