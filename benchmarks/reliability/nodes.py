"""Nodes that are killed, raise, or go on for long: in a module that workers can import."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence

from benchmarks.nodes import Array
from benchmarks.reliability import marks

_MIDDLE = 0.2  # seconds after which a node is in the middle of what it does


class NodeError(Exception):
    """What a node raises."""


def kill_at_first(folder: str, others: Sequence[str]) -> str:
    """Kill the process that runs this node, but for the second time.

    Args:
        folder: For marks.
        others: Marks of other nodes, one of which is to run at that moment.
    """
    if marks.find(folder, "killed") is not None:
        marks.leave(folder, "again")
        return "done"
    _wait_until_another_runs(folder, others)
    time.sleep(_MIDDLE)
    marks.leave(folder, "killed")
    # Windows has no SIGKILL: there, this is TerminateProcess.
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    raise AssertionError("not killed")


def fail(folder: str, others: Sequence[str]) -> str:
    """Raise an exception, if there are other nodes while one of them runs."""
    _wait_until_another_runs(folder, others)
    time.sleep(_MIDDLE)
    marks.leave(folder, "raised")
    raise NodeError("as it is to be")


def _wait_until_another_runs(folder: str, others: Sequence[str]) -> None:
    marks.leave(folder, "victim")
    if others:
        marks.wait_for(folder, others, 1)


def open_gate(folder: str) -> str:
    """Let the other nodes begin, when the one that will fail has begun."""
    marks.wait_for(folder, ["victim"], 1)
    return "open"


def take(folder: str, name: str, seconds: float, gate: str) -> str:
    """Begin, and be done after that many seconds."""
    assert gate == "open"
    marks.leave(folder, name)
    time.sleep(seconds)
    return "done"


def sleep_long(folder: str, name: str, seconds: float, array: Array) -> float:
    """Sleep as nodes do that wait for something: other threads of the process go on."""
    marks.leave(folder, name)
    time.sleep(seconds)
    return float(array[0])


def hold_long(folder: str, name: str, seconds: float, array: Array) -> float:
    """Be in native code that lets no other thread of the process go on."""
    marks.leave(folder, name)
    library = ctypes.PyDLL("kernel32" if sys.platform == "win32" else None)
    end = time.monotonic() + seconds
    while time.monotonic() < end:  # a signal wakes it up
        if sys.platform == "win32":
            library.Sleep(int(seconds * 1000))
        else:
            library.sleep(int(seconds))
    return float(array[0])
