"""What a process and its workers use while they run, and what is left of them."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.process import cleans_up, runs

MEGABYTE = 1_000_000

_INTERVAL = 0.1  # seconds between two looks
_STATUS = Path("/proc/self/status")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (looked at, nothing is put there)


@dataclass
class Descriptors:
    """How many files were open at once, at most.

    Attributes:
        parent: In this process.
        worker: In the worker that had the most.
    """

    parent: int = 0
    worker: int = 0

    def look(self) -> None:
        """Count what is open now."""
        here = psutil.Process()
        self.parent = max(self.parent, open_files(here))
        self.worker = max([self.worker, *map(open_files, here.children(recursive=True))])


@contextmanager
def descriptors_counted() -> Iterator[Descriptors]:
    """Count open files from time to time, on a thread of its own."""
    found, end = Descriptors(), threading.Event()

    def count() -> None:
        while not end.wait(_INTERVAL):
            found.look()

    thread = threading.Thread(target=count, name="descriptors", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        end.set()
        thread.join()


def open_files(process: psutil.Process) -> int:
    """Count the files that a process has open: handles on Windows, 0 if it has ended."""
    count = "num_handles" if sys.platform == "win32" else "num_fds"
    with suppress(psutil.Error):
        return int(getattr(process, count)())
    return 0


def workers() -> list[psutil.Process]:
    """List the processes below this one, but for those that clean up after others."""
    below = psutil.Process().children(recursive=True)
    return [each for each in below if runs(each) and not cleans_up(each) and not _serves(each)]


def _serves(process: psutil.Process) -> bool:
    # The fork server is kept; what it has forked has the same command line.
    with suppress(psutil.Error):
        return process.ppid() == os.getpid() and "forkserver" in " ".join(process.cmdline())
    return False


def resident(process: psutil.Process) -> float:
    """Say how many megabytes of memory a process uses; 0 if it has ended."""
    with suppress(psutil.Error):
        return float(process.memory_info().rss) / MEGABYTE
    return 0.0


def peak_of_parent() -> float:
    """Say how many megabytes of memory this process has used at once, at most."""
    if _STATUS.exists():
        # getrusage would count what this process was before it became this program.
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MEGABYTE
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / MEGABYTE
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def check_nothing_is_left() -> None:
    """Check that no worker, no file and no thread of prunner is there any more."""
    alive = psutil.wait_procs(workers(), timeout=3.0)[1]
    assert not alive, f"processes left: {alive}"
    files = files_of(os.getpid())
    assert not files, f"files left: {files}"
    threads = [each.name for each in threading.enumerate() if each.name.startswith("prunner")]
    assert not threads, f"threads left: {threads}"


def files_of(pid: int) -> list[Path]:
    """List the files and folders that prunner has made for a process."""
    places = {Path(tempfile.gettempdir()), _SHARED_MEMORY}
    return [path for place in places for path in place.glob(f"prunner-{pid}-*")]
