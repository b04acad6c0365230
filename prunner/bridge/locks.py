"""Who has a data file mapped: locks that last exactly as long as a map.

A private map shows what is written to its file later. So whoever maps a file that may be written
over holds a shared lock on it, on the very handle that the map keeps open: the lock ends with the
map and not before. Only what can be locked alone is written over.

A copy of a process (``fork``) has the maps too, and may close all handles that it does not know;
what is mapped when a process is copied stays locked in the original for the rest of the run.

Linux only; elsewhere nothing is locked, as nothing is written over.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import weakref
from typing import BinaryIO

if sys.platform == "linux":
    import fcntl

if sys.platform == "linux":

    def lock_shared(file: BinaryIO, path: str) -> None:
        """Keep a file from being written over until its handle and all maps of it are closed.

        Raises:
            FileNotFoundError: If it has been released.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileNotFoundError(path) from None  # about to be written over
        # It may have been written over between open() and the lock: then it has another name.
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            raise FileNotFoundError(path)

    def lock_alone(file: BinaryIO) -> bool:
        """Lock a file unless somebody else has locked it.

        Returns:
            Whether it is locked now.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(file: BinaryIO) -> None:
        """End a lock."""
        fcntl.flock(file, fcntl.LOCK_UN)

else:

    def lock_shared(file: BinaryIO, path: str) -> None:
        """Nothing is written over here."""

    def lock_alone(file: BinaryIO) -> bool:
        """Nothing is written over here."""
        return False

    def unlock(file: BinaryIO) -> None:
        """Nothing is locked."""


class Readers:
    """The maps of recycled files that this process has.

    A reader of a file makes its map with this.
    """

    def __init__(self) -> None:
        self._maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._kept: list[mmap.mmap] = []
        self._lock = threading.Lock()
        _readers.add(self)

    def map(self, path: str, size: int) -> mmap.mmap:
        """Map a file privately, and keep it from being written over as long as the map is there.

        Args:
            path: The file.
            size: How many of its bytes are wanted.

        Returns:
            A map, copy on write.

        Raises:
            FileNotFoundError: If the data has been released.
        """
        with open(path, "rb") as file, self._lock:
            lock_shared(file, path)
            made = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
            self._maps.add(made)
        return made

    def keep_all(self) -> None:
        """Keep what is mapped now, and its lock with it: another process will have it as well."""
        with self._lock:
            self._kept = list(self._maps)

    def begin_copy(self) -> None:
        """This is the copy of a process, in which another thread may have held the lock."""
        self._lock = threading.Lock()


_readers: weakref.WeakSet[Readers] = weakref.WeakSet()


def _before_fork() -> None:
    for readers in list(_readers):
        readers.keep_all()


def _after_fork() -> None:
    for readers in list(_readers):
        readers.begin_copy()


if sys.platform == "linux":
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
