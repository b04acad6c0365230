"""What runs leave behind that is prunner's: processes and files."""

from __future__ import annotations

import glob
import sys
import tempfile

import psutil

# Processes that Python and loky start once and keep until the interpreter ends.
KEPT = ("resource_tracker", "forkserver", "semaphore_tracker")


def children() -> set[psutil.Process]:
    """All processes below this one that are not meant to stay as long as it does."""
    here = psutil.Process().children()
    kept = {child for child in here if _is_kept(child)}
    # A process that the fork server started has the command line of the server.
    below = {each for child in here for each in _below(child)}
    return set(here) - kept | below


def files_of(pid: int) -> list[str]:
    """Files and folders of the workers and runs of a process."""
    folders = [tempfile.gettempdir(), *(["/dev/shm"] if sys.platform != "win32" else [])]
    return [path for folder in folders for path in glob.glob(f"{folder}/prunner-{pid}-*")]


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
