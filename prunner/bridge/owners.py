"""Whose files are whose, and what becomes of those whose owner is gone.

A process that is killed cannot remove its files. Their names tell whose they are, so that another
process can, when it is certain that the owner is gone:

    prunner-<process id>-<when the process was created>-<random>[.crash]

Numbers of processes are used again, so the time counts, too. Neither tells anything about a process
in another container that shares the folder; so what is in use is locked as well, where there are
such locks (``flock``; Windows removes nothing that is in use).

Covers: names, locks on folders, what is left. Does not cover: what is in the files.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil

from prunner.bridge import recycling

if sys.platform != "win32":
    import fcntl

CRASH = ".crash"  # the end of the name of what a worker writes when it crashes
_NAME = re.compile(rf"prunner-(\d+)-(\d+)-[0-9a-f]{{16}}({re.escape(CRASH)})?")
_PER_SECOND = 100  # the unit of times in names
_PATIENCE = 2.0  # seconds until what is left is let be
_GLANCE = 0.01  # seconds between two tries
_TOLERANCE = 2.0  # seconds: Linux counts from the start of the machine, which it gives as a whole


class Owner(NamedTuple):
    """A process.

    Attributes:
        pid: Its id.
        created: When it was created, in hundredths of a second.
    """

    pid: int
    created: int

    def is_gone(self) -> bool:
        """True if there certainly is no such process in this container."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            found = process.create_time()
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False
        return abs(found - self.created / _PER_SECOND) > _TOLERANCE


def this_process() -> Owner:
    """The process that this is."""
    return _this_process(os.getpid())


@cache
def _this_process(pid: int) -> Owner:
    return owner_of(pid)  # by its id, since a fork is another one


def owner_of(pid: int) -> Owner:
    """The process with this id, which must be there.

    Raises:
        psutil.NoSuchProcess: If it is not.
    """
    return Owner(pid, round(psutil.Process(pid).create_time() * _PER_SECOND))


def new_name() -> str:
    """A name that nobody has, for something of this process."""
    pid, created = this_process()
    return f"prunner-{pid}-{created}-{secrets.token_hex(8)}"


def base_folders() -> list[str]:
    """Where data files are, the preferred folder first."""
    on_disk = tempfile.gettempdir()
    if sys.platform == "linux" and os.access(recycling.MEMORY_FOLDER, os.W_OK | os.X_OK):
        return [recycling.MEMORY_FOLDER, on_disk]
    return [on_disk]


def make_folder(path: str) -> int | None:
    """Make a folder that only this user can look into, and lock it.

    Args:
        path: The folder.

    Returns:
        What ``let_go`` takes; ``None`` where it could not be made, or there are no such locks.
    """
    with contextlib.suppress(OSError):
        os.mkdir(path, 0o700)
        return _locked(path)
    return None


def lock(descriptor: int) -> bool:
    """Let nobody else believe that an open file is left over; whether that worked."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def let_go(descriptor: int | None) -> None:
    """End a lock."""
    if descriptor is not None:
        os.close(descriptor)


def sweep(folders: Iterable[str]) -> list[str]:
    """Remove what is left of processes that are gone.

    Args:
        folders: Where to look.

    Returns:
        What was removed.
    """
    return [path for path, owner in _found(folders) if owner.is_gone() and _remove(path)]


def sweep_after(gone: Owner, folders: Sequence[str]) -> None:
    """Remove what a process has left of which it is known that it is gone.

    Args:
        gone: The process.
        folders: Where to look.
    """
    end = time.monotonic() + _PATIENCE
    while [path for path, owner in _found(folders) if owner == gone and not _remove(path)]:
        # A killed process counts as ended before the last of its threads has closed its files.
        if time.monotonic() > end:
            return
        time.sleep(_GLANCE)


def _found(folders: Iterable[str]) -> Iterator[tuple[str, Owner]]:
    for folder in dict.fromkeys(folders):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if match := _NAME.fullmatch(name):
                    yield os.path.join(folder, name), Owner(int(match[1]), int(match[2]))


def _is_ours(path: str) -> bool:
    """True if this user made it, and it is what it should be, no link to something else."""
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        kind = Path.is_file if path.endswith(CRASH) else Path.is_dir
        is_link = os.path.islink(path)
        mine = sys.platform == "win32" or found.st_uid == os.geteuid()
        return mine and not is_link and kind(Path(path))
    return False


def _remove(path: str) -> bool:
    """Remove it, unless it is somebody's; True if it is gone now."""
    descriptor = _locked(path)
    if not _is_ours(path) or (descriptor is None and sys.platform != "win32"):
        let_go(descriptor)
        return not os.path.lexists(path)
    try:
        if path.endswith(CRASH):
            with contextlib.suppress(OSError):
                os.unlink(path)
        else:
            recycling.remove_all(path)
            shutil.rmtree(path, ignore_errors=True)
    finally:
        let_go(descriptor)
    return not os.path.lexists(path)


def _locked(path: str) -> int | None:
    if sys.platform != "win32":
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        if lock(descriptor):
            return descriptor
        os.close(descriptor)
    return None
