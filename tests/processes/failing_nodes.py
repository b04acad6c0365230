"""Node functions that end their process in many ways, once or always."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import psutil


def _exit() -> None:
    os._exit(7)


def _kill() -> None:
    if sys.platform == "win32":
        os.kill(os.getpid(), signal.SIGTERM)  # TerminateProcess
    os.kill(os.getpid(), signal.SIGKILL)


def _crash() -> None:
    if sys.platform == "win32":  # where ctypes makes an OSError of it
        faulthandler._raise_exception(faulthandler._EXCEPTION_ACCESS_VIOLATION)
    ctypes.string_at(0)


def _abort() -> None:
    os.abort()


WAYS = {"exit": _exit, "kill": _kill, "crash": _crash, "abort": _abort}


def leave_processes_and_die(path: str) -> None:
    """Start processes that go on for long, one of them forked where that is possible."""
    code = "import time; time.sleep(600)"
    pids = [subprocess.Popen([sys.executable, "-c", code]).pid]
    if hasattr(os, "fork"):
        pids.append(os.fork())
        if not pids[-1]:
            time.sleep(600)
    Path(path).write_text(" ".join(map(str, pids)), encoding="utf-8")
    _kill()


def die(how: str) -> None:
    WAYS[how]()


def die_at_first(mark: str, how: str) -> int:
    """Leave a mark, which is not there at the first time, and then die."""
    if is_first(mark):
        WAYS[how]()
    return os.getpid()


def raise_at_first(mark: str) -> int:
    if is_first(mark):
        raise ConnectionResetError("the other side is gone")
    return os.getpid()


class Unspeakable(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raise_unspeakable(left: Any) -> None:
    raise Unspeakable


def leave(left: Any) -> None:
    raise SystemExit(3)


def is_first(mark: str) -> bool:
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def take_forever() -> None:
    threading.Event().wait()


def take_forever_here(where: Any) -> None:
    take_forever()


def own_pid(left: Any) -> tuple[int, int]:
    return os.getpid(), os.getpid()


def kill(pid: int) -> int:
    psutil.Process(pid).kill()
    return pid


def hold_the_interpreter() -> None:
    """Wait in native code without letting any other thread of Python go on."""
    library = ctypes.PyDLL("kernel32" if sys.platform == "win32" else None)
    sleep, hour = (library.Sleep, 3_600_000) if sys.platform == "win32" else (library.sleep, 3600)
    while True:  # a signal wakes it up
        sleep(hour)


def count(left: Any) -> int:
    return int(left) + 1


def wait_for_the_end(address: tuple[str, int]) -> int:
    """Tell who this is, and go on when the other side is gone."""
    with Client(address) as connection:
        connection.send(os.getpid())
        try:
            connection.recv()
        except EOFError:
            pass
    return os.getpid()
