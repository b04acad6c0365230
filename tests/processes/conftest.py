from __future__ import annotations

import glob
import os
import sys
import tempfile
import threading

import psutil
import pytest

import prunner
from prunner.options import available_start_methods

# Processes that Python and loky start once and keep until the interpreter ends.
KEPT = ("resource_tracker", "forkserver", "semaphore_tracker")


def chosen_start_methods() -> list[str]:
    chosen = os.environ.get("PRUNNER_TEST_START_METHODS")
    here = available_start_methods()
    return [m for m in chosen.split(",") if m in here] if chosen else list(here)


def pytest_generate_tests(metafunc):
    if "start_method" in metafunc.fixturenames:
        metafunc.parametrize("start_method", chosen_start_methods())


@pytest.fixture(autouse=True)
def _nothing_left():
    """After each test: no process, no file and no thread of ours."""
    processes, threads = _children(), set(threading.enumerate())
    yield
    prunner.stop_workers()
    assert not _children() - processes
    assert not set(threading.enumerate()) - threads
    assert not _files_of(os.getpid())


def _children() -> set[psutil.Process]:
    here = psutil.Process().children()
    kept = {child for child in here if _is_kept(child)}
    # A process that the fork server started has the command line of the server.
    below = {each for child in here for each in _below(child)}
    return set(here) - kept | below


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_kept(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return True
    return any(name in command for name in KEPT)


def _files_of(pid: int) -> list[str]:
    folders = [tempfile.gettempdir(), *(["/dev/shm"] if sys.platform != "win32" else [])]
    return [path for folder in folders for path in glob.glob(f"{folder}/prunner-{pid}-*")]
