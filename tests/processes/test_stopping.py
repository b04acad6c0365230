"""A run is interrupted, or its process killed: nothing goes on, and nothing is left."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from multiprocessing.connection import Listener

import psutil
import pytest

from prunner.processes import tree
from tests.processes.conftest import NEW_AND_COPIED

POSIX = sys.platform != "win32"
LIMIT = 60.0  # seconds after which something is said to hang


class Run:
    """A script in the middle of a run: two workers are busy, one in native code."""

    def __init__(self, start_method: str, stack: ExitStack) -> None:
        listener = stack.enter_context(Listener(("localhost", 0)))
        arguments = [start_method, *map(str, listener.address)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes.stopping", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        stack.callback(self._end)
        connections = [stack.enter_context(listener.accept()) for _ in range(2)]
        pids = [pid for connection in connections for pid in connection.recv()]
        below = psutil.Process(self.process.pid).children(recursive=True)
        self.processes = {*below, *map(psutil.Process, pids)}
        assert len(self.processes) > len(pids)

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def files(self) -> list[str]:
        folders = [tempfile.gettempdir(), "/dev/shm"]
        found = [glob.glob(f"{folder}/prunner-{self.process.pid}-*") for folder in folders]
        return [path for paths in found for path in paths]

    def wait_until_nothing_is_left(self) -> None:
        tree._wait_for(list(self.processes), LIMIT)
        assert not any(map(tree._is_alive, self.processes))
        # The guard of another run may have been about to remove them, too: wait for that one.
        end = time.monotonic() + LIMIT
        while self.files() and time.monotonic() < end:
            time.sleep(0.01)
        assert self.files() == []


@pytest.fixture
def run(start_method):
    with ExitStack() as stack:
        yield Run(start_method, stack)


def test_an_interrupt_ends_the_run_and_suggests_how_to_resume(run):
    assert run.files()
    if sys.platform == "win32":
        try:
            os.kill(run.process.pid, signal.CTRL_BREAK_EVENT)
        except (OSError, SystemError):
            pytest.skip("there is no console")
    else:  # the terminal sends it to the whole group
        os.killpg(run.process.pid, signal.SIGINT)
    output, _ = run.process.communicate(timeout=LIMIT)

    assert "interrupted by KeyboardInterrupt" in output
    if POSIX:
        assert run.process.returncode == -signal.SIGINT
    assert "There are 2 nodes that have not run" in output
    assert output.count("Traceback") == 1, "only the script's own"
    run.wait_until_nothing_is_left()


@NEW_AND_COPIED
@pytest.mark.skipif(not POSIX, reason="Windows ends a process without telling it")
def test_a_termination_ends_the_run_and_suggests_how_to_resume(run):
    run.process.terminate()
    output, _ = run.process.communicate(timeout=LIMIT)

    assert "interrupted by Terminated" in output
    assert run.process.returncode == 143
    assert "There are 2 nodes that have not run" in output
    assert "Traceback" not in output
    run.wait_until_nothing_is_left()


def test_a_killed_process_leaves_no_worker_and_no_file(run):
    assert run.files()
    run.process.kill()
    run.process.wait()
    run.wait_until_nothing_is_left()
