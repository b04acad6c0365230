"""What a worker was doing in Python when it crashed, or was stuck.

``faulthandler`` writes it into a file of the worker's own: at the moment of a crash in native code,
and, where there are signals, when it gets one, whatever its threads are doing. The parent reads the
file when the worker has ended. A worker that is killed from outside leaves nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from prunner.bridge import owners

_MOST = 20_000  # characters
_PATIENCE = 0.5  # seconds for the stacks to be written
_GLANCE = 0.01  # seconds between two looks at the file
# "Out of time": whoever uses it for something else loses no more than the stacks.
if sys.platform != "win32":
    _SIGNAL = signal.SIGXCPU

_file: int | None = None
_path = ""


def crash_file() -> Path:
    """The name of a file for a new worker, that nobody else has."""
    return Path(tempfile.gettempdir(), f"{owners.new_name()}{owners.CRASH}")


# --- in the worker ----------------------------------------------------------------------------


def write_crashes_to(path: str) -> None:
    """Let a crash be written to this file, which only this user can read."""
    global _file, _path
    _path = path
    _file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    owners.lock(_file)
    faulthandler.enable(_file, all_threads=False)
    if sys.platform != "win32":
        faulthandler.register(_SIGNAL, _file, all_threads=True)


def write_stacks() -> None:
    """Write what all threads are doing; not possible while native code holds the interpreter."""
    if _file is not None:
        faulthandler.dump_traceback(_file, all_threads=True)


def leave_nothing() -> None:
    """Remove the file: nobody is left who would read it."""
    global _file
    if _file is None:
        return
    faulthandler.disable()
    if sys.platform != "win32":
        faulthandler.unregister(_SIGNAL)
    with contextlib.suppress(OSError):
        os.close(_file)  # Windows removes no file that is open
        os.unlink(_path)
    _file = None


# --- in the parent ----------------------------------------------------------------------------


def ask_for_stacks(pid: int) -> bool:
    """Let a worker write what its threads are doing.

    Returns:
        False where there is no signal for that.
    """
    if sys.platform == "win32":
        return False
    else:
        with contextlib.suppress(OSError):
            os.kill(pid, _SIGNAL)
        return True


def wait_for_stacks(path: Path) -> None:
    """Wait until something has been written, but not for long."""
    end = time.monotonic() + _PATIENCE
    size = -1
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            before, size = size, path.stat().st_size
            if size and size == before:
                return
        time.sleep(_GLANCE)


def read_crash(path: Path) -> str:
    """What a worker that has ended has written; empty if it has not crashed."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:_MOST].strip()
        path.unlink(missing_ok=True)
    except OSError:
        return ""
    return text
