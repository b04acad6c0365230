"""Ends a process together with all processes below it.

A node may start processes of its own, with joblib, ``multiprocessing`` or ``subprocess``, and
leave them behind. Python waits at the end of a process for those that ``multiprocessing`` or
joblib started, and joblib's idle ones live on for minutes: the worker would not exit.

*Resource trackers* and guards are spared: they remove what the others leave behind (joblib's
folders in shared memory, semaphores), and end by themselves when all the others are gone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Collection, Iterable
from multiprocessing import util
from multiprocessing.process import BaseProcess

import psutil

from prunner.bridge.owners import Owner

PATIENCE = 2.0  # seconds that a process has to end by itself after it was asked to

_GLANCE = 0.01  # seconds between two looks at whether they have ended
_TRACKERS = ("resource_tracker", "semaphore_tracker", "guard_main")
MARK = "PRUNNER_WORKER"  # an environment variable of a worker and of what it starts


def end_before_exit() -> None:
    """When this process exits, end what is below it at the moment when Python would wait for it.

    Not earlier: pools and managers of ``multiprocessing`` have their own, better way to end, and
    whoever kills a process of a pool that waits for work kills the holder of a lock that the
    pool needs to end. Of those who are called at the same priority, the first is called last.
    """
    util.Finalize(None, end_below, exitpriority=0)


def end_below() -> None:
    """End all processes below this one: those that can tidy up (Windows has no way to ask) do."""
    below = _below(psutil.Process())
    for each in below:
        with contextlib.suppress(psutil.Error):
            each.terminate()
    _wait_for(below, PATIENCE)
    _kill_all(below)


def has_below() -> bool:
    """True if there are processes below this one."""
    return bool(_below(psutil.Process()))


def kill_below() -> None:
    """End all processes below this one at once."""
    _kill_all(_below(psutil.Process()))


def kill(process: BaseProcess) -> None:
    """End a process that this one started, and all below it, at once.

    Args:
        process: The process; it may have ended already.
    """
    if process.pid is None or process.exitcode is not None:
        return
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(process.pid)
        # From the top, or a pool replaces what is taken from it.
        _kill_all([top, *_below(top)])


def kill_left_by(marks: Collection[str]) -> None:
    """End the processes that workers have left behind which have ended: they are nobody's now.

    Args:
        marks: The name of a file that each had open, which is also the value of ``MARK`` there.
    """
    if marks:
        _kill_all([p for p in psutil.process_iter() if _has_one(p, marks) and not _is_tracker(p)])


def _has_one(process: psutil.Process, marks: Collection[str]) -> bool:
    try:
        if process.environ().get(MARK) in marks:
            return True
        # A forked process shows the environment that the first of its kind was started with.
        return sys.platform != "win32" and any(
            os.path.basename(file.path) in marks for file in process.open_files()
        )
    except (psutil.Error, OSError):
        return False


def kill_those(owners: Iterable[Owner]) -> None:
    """End processes and all below them at once, and wait until they are gone.

    Args:
        owners: The processes; some may have ended, and their ids may be those of others now.
    """
    ended = []
    for each in owners:
        with contextlib.suppress(psutil.Error):
            if not each.is_gone():
                top = psutil.Process(each.pid)
                ended += [top, *_below(top)]
    _kill_all(ended)
    _wait_for(ended, PATIENCE)


def _kill_all(processes: list[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.Error):
            each.kill()


def _below(process: psutil.Process) -> list[psutil.Process]:
    return [each for each in process.children(recursive=True) if not _is_tracker(each)]


def _wait_for(processes: list[psutil.Process], seconds: float) -> None:
    # Not psutil's own way: it takes the exit codes from those who started the processes, and
    # waits for the dead ones that nobody asks for theirs (in containers without an init).
    end = time.monotonic() + seconds
    while any(map(_is_alive, processes)) and time.monotonic() < end:
        time.sleep(_GLANCE)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_tracker(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return any(name in command for name in _TRACKERS)
