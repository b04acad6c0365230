"""Ends this process, and shows where it and its workers are, when a run does not end."""

from __future__ import annotations

import contextlib
import faulthandler
import glob
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from prunner.processes import tree
from prunner.processes.crashes import ask_for_stacks, read_crash, wait_for_stacks

EXIT_CODE = 3


@contextlib.contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Let what follows take so long at most.

    Args:
        seconds: So long.
        what: Is printed when it takes longer.
    """
    timer = threading.Timer(seconds, _end, [seconds, what])
    timer.daemon = True
    # For the case that no thread of Python can run any more.
    faulthandler.dump_traceback_later(seconds + 30, exit=True)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        faulthandler.cancel_dump_traceback_later()


def _end(seconds: float, what: str) -> None:
    print(f"Not ended after {seconds:g} s: {what}\n\nThis process:", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(all_threads=True)
    for child in psutil.Process().children(recursive=True):
        print(f"below it: {child}", file=sys.stderr)
        if any(map(_is_of_worker, _open_files(child))):
            ask_for_stacks(child.pid)
    for path in map(Path, glob.glob(f"{tempfile.gettempdir()}/prunner-{os.getpid()}-*.crash")):
        wait_for_stacks(path)
        print(f"\n{path.name}:\n{read_crash(path)}", file=sys.stderr, flush=True)
    tree.kill_below()
    os._exit(EXIT_CODE)


def _open_files(process: psutil.Process) -> list[str]:
    try:
        return [each.path for each in process.open_files()]
    except psutil.Error:
        return []


def _is_of_worker(path: str) -> bool:
    # Only who has this file open writes stacks on the signal; it ends anybody else.
    return path.endswith(".crash")
