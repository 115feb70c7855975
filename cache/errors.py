"""The one root of every error a user can meet, with the exit code that cli.py returns for it."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def say_command(words: str) -> str:
    """What to type for a command: ``python cli.py WORDS`` in a clone, ``fixgrid WORDS`` where it is installed."""
    # In a clone the package shows cli.py by a link.
    installed = Path(sys.argv[0]).name == "fixgrid" or not (_PACKAGE / "cli.py").is_symlink()
    return f"{'fixgrid' if installed else 'python cli.py'} {words}"


class FixgridError(Exception):
    """A failure that is the input's or the machine's, not a bug. Its message is one line for the user.

    The line says what was found, what was expected and what to type next.
    """

    exit_code = 1


class UsageError(FixgridError):
    """An option, or a combination of options, that cannot be used."""

    exit_code = 2


class DataError(FixgridError):
    """Images or labels that cannot be used: none, one class, or unreadable above the budget."""

    exit_code = 3


class CacheError(FixgridError):
    """Features that are missing, incomplete or not to be trusted."""

    exit_code = 4


class DiskError(FixgridError):
    """A write that failed: the disk is full, or refuses."""

    exit_code = 5


class Interrupted(FixgridError):  # noqa: N818 - an outcome, not an error
    """The user stopped the run; everything committed stays, and the same command resumes."""

    exit_code = 130
