"""Where worker processes come from: on Linux, forks of one that has imported what they need."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import ModuleType

# Elsewhere than on Linux, system libraries do not bear being forked.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
# Of `embed.task`, which cannot be named itself: the server does not know this process' search path.
ALWAYS = ("h5py", "PIL.Image")


def start_importing(modules: Sequence[str] = ()) -> BaseContext:
    """Begin to import what workers need, while this process loads the trunk.

    Their server imports it once: a worker that needs torch (import: 2 s) starts in .1 s and holds 75 MB of its own
    instead of 340. A server that runs already stays as it is, and workers import what it lacks.

    Parameters
    ----------
    modules : sequence of str
        Names to import.

    Returns
    -------
    multiprocessing context
        What workers are to be started by.
    """
    context = multiprocessing.get_context(METHOD)
    if METHOD == "spawn":
        return context
    context.set_forkserver_preload([*ALWAYS, *modules])
    # A closed terminal reaches the whole group; the parent alone decides. What is blocked is inherited.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        forkserver.ensure_running()
    except ChildProcessError:  # this process is a fork, and the server its parent's
        return multiprocessing.get_context("spawn")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return context


def start_process(process: BaseProcess) -> None:
    """Start a process that does not import this one's main module.

    A worker needs nothing of it, and a script without ``if __name__ == "__main__":`` would start all over in every
    worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main
