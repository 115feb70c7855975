from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing import forkserver

import pytest

from fixgrid.embed.engines.processes import METHOD, start_importing

SPARE = "this"  # a module that nothing here imports


@pytest.fixture(autouse=True)
def _own_server() -> Iterator[None]:
    if METHOD != "forkserver":
        pytest.skip("processes are forked from a server on Linux alone")
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()


def _find_spare() -> None:
    os._exit(7 if SPARE in sys.modules else 8)


def run_one(*modules: str) -> int | None:
    process = start_importing(modules).Process(target=_find_spare)
    process.start()
    process.join(60)
    return process.exitcode


def test_a_process_finds_imported_what_was_asked_for() -> None:
    assert run_one() == 8
    forkserver._forkserver._stop()
    assert run_one(SPARE) == 7
    assert run_one() == 7  # of the server that runs already
    assert SPARE not in sys.modules


def test_a_closed_terminal_leaves_the_server_alone() -> None:
    start_importing()
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGHUP)
    assert run_one() == 8
    assert forkserver._forkserver._forkserver_pid == server
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_fork_of_a_process_that_has_a_server_starts_its_own_processes() -> None:
    assert run_one() == 8
    fork = os.fork()
    if not fork:
        os._exit(run_one() or 0)
    assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 8
