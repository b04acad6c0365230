"""Data files that are written over again, since a fresh file costs several times as much.

The pages of a fresh file in memory have to be found and, at its end, given back; those of a file
whose dataset has been released are there, and a process that has written over one of its files
keeps it mapped: from then on writing is a mere copy between warm buffers.

     written ----> read by others ----> free ----> written over by the process that made it
     (path)        (shared lock)      (path.free)         (new path)

Nobody may see an array change that he has kept: only what no reader has mapped is written over
(``locks``).

The new name is taken by renaming, which only one can do; a name is never used twice.

Covers: free files. Linux only, and only in a file system whose pages are memory: elsewhere a
write through a map may fail in a way that ends the process.
Does not cover: when a dataset is released, or what is in a file.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

from prunner.bridge.locks import lock_alone, unlock

MEMORY_FOLDER = "/dev/shm"
# bytes; below, a fresh file costs little, and each map that is kept takes two file handles.
RECYCLED_FROM = 1 << 20
# bytes; large enough that the processor writes past its caches, and other threads run in between.
_PIECE = 1 << 26
_MAX_OWN = 64  # files
_FREE = ".free"


def is_recycled(path: str, size: int) -> bool:
    """True if a file may be written over one day, so that its readers have to lock it.

    Args:
        path: The file.
        size: Its size in bytes.
    """
    return (
        sys.platform == "linux"
        and size >= RECYCLED_FROM
        and path.startswith(MEMORY_FOLDER + "/")
        and _is_memory()
    )


def write_all(file: BinaryIO, part: bytes | memoryview) -> None:
    """Write all bytes: one write() moves at most 2 GiB on Linux and less elsewhere."""
    view = memoryview(part)
    while view.nbytes:
        view = view[file.write(view) :]


@dataclass(slots=True)
class _Own:
    """A file that this process made.

    Attributes:
        capacity: Its size in bytes; there may be less data in it.
        file: Open once it has been written over.
        map: All of it, once it has been written over.
    """

    capacity: int
    file: BinaryIO | None = None
    map: mmap.mmap | None = None

    def close(self) -> None:
        if self.map is not None:
            self.map.close()
        if self.file is not None:
            self.file.close()


class OwnFiles:
    """The files that this process made, to be written over when they are free."""

    def __init__(self) -> None:
        self._files: dict[str, _Own] = {}
        self._lock = threading.Lock()

    def add(self, path: str, size: int) -> None:
        """Note a fresh file."""
        with self._lock:
            if len(self._files) < _MAX_OWN:
                self._files[path] = _Own(size)

    def write(self, path: str, parts: Sequence[bytes | memoryview], size: int) -> bool:
        """Write into a free file, if there is one of about that size.

        Args:
            path: Its new name.
            parts: What to write.
            size: Number of bytes in all.

        Returns:
            Whether there was one.

        Raises:
            OSError: If the file had to grow, and there is no room for that.
        """
        own = self._take(path, size)
        if own is None:
            return False
        try:
            _overwrite(own, parts)
        except BaseException:
            remove(path)
            own.close()
            raise
        own.capacity = max(own.capacity, size)
        assert own.file is not None
        unlock(own.file)
        with self._lock:
            self._files[path] = own
        return True

    def close(self) -> None:
        """The run has ended: keep nothing."""
        with self._lock:
            for own in self._files.values():
                own.close()
            self._files.clear()

    def _take(self, path: str, size: int) -> _Own | None:
        with self._lock:
            self._forget_removed()
            for former in self._candidates(size):
                own = self._files[former]
                if _taken(own, former + _FREE, path):
                    return self._files.pop(former)
        return None

    def _forget_removed(self) -> None:
        for path in list(self._files):
            # In this order: a file in use may become free in between, not the other way round.
            if not os.path.exists(path) and not os.path.exists(path + _FREE):
                self._files.pop(path).close()

    def _candidates(self, size: int) -> list[str]:
        """What fits best first: else what has to grow least."""
        files = self._files
        near = [path for path, own in files.items() if size / 2 <= own.capacity <= size * 1.25]
        return sorted(
            near, key=lambda path: (files[path].capacity < size, abs(files[path].capacity - size))
        )


class FreeFiles:
    """Files whose data has been released, as the parent counts them.

    Together with the data that is there they never take more room than data alone has taken.
    """

    def __init__(self) -> None:
        self._live = self._peak = 0
        self._free: dict[str, int] = {}

    def count(self, size: int) -> None:
        """So many bytes have been written."""
        self._live += size
        self._peak = max(self._peak, self._live)
        self._shrink()

    def add(self, path: str, size: int) -> None:
        """Let the process that made a file have it again."""
        self._live -= size
        with contextlib.suppress(OSError):
            os.rename(path, path + _FREE)
            self._free[path + _FREE] = size
        self._shrink()

    def _shrink(self) -> None:
        self._free = {path: size for path, size in self._free.items() if os.path.exists(path)}
        while self._free and sum(self._free.values()) + max(self._live, 0) > self._peak:
            path = next(iter(self._free))
            del self._free[path]
            remove(path)


def remove_free(folder: str) -> bool:
    """Remove all free files in a folder, whoever made them.

    Returns:
        Whether there was one.
    """
    return _remove_where(folder, lambda entry: entry.name.endswith(_FREE))


def remove_all(folder: str) -> None:
    """Remove all files that could be written over, even if a process has them mapped for that."""
    _remove_where(folder, lambda entry: is_recycled(entry.path, entry.stat().st_size))


def _remove_where(folder: str, wanted: Callable[[os.DirEntry[str]], bool]) -> bool:
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if wanted(entry)]
    except OSError:
        return False
    for path in found:
        remove(path)
    return bool(found)


def remove(path: str) -> None:
    """Remove a file, and give its memory back even if the process that made it has it mapped."""
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        os.unlink(path)  # from here on nobody can begin to use it
        if lock_alone(file):
            os.ftruncate(file.fileno(), 0)


def _taken(own: _Own, free: str, path: str) -> bool:
    """True if the file is free, mapped by no reader, and has the new name now; it is locked."""
    try:
        if own.file is None:
            own.file = open(free, "r+b", buffering=0)
        if not lock_alone(own.file):
            return False
    except OSError:
        return False
    try:
        os.rename(free, path)
    except OSError:
        unlock(own.file)
        return False
    return True


def _overwrite(own: _Own, parts: Sequence[bytes | memoryview]) -> None:
    assert own.file is not None
    if own.map is None:
        # All pages are there, since all have been written: no write through the map can fail.
        own.map = _map_shared(own.file, own.capacity)
    position = 0
    with memoryview(own.map) as target:
        for part in parts:
            view = memoryview(part)
            inside = min(view.nbytes, max(own.capacity - position, 0))
            for start in range(0, inside, _PIECE):
                end = min(start + _PIECE, inside)
                target[position + start : position + end] = view[start:end]
            if inside < view.nbytes:
                own.file.seek(position + inside)
                write_all(own.file, view[inside:])
            position += view.nbytes
    if position > own.capacity:
        own.map.close()
        own.map = None


if sys.platform == "linux":

    def _map_shared(file: BinaryIO, size: int) -> mmap.mmap:
        # All page table entries at once: half the time that one fault for each page takes.
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        return mmap.mmap(file.fileno(), size, flags=flags)

else:

    def _map_shared(file: BinaryIO, size: int) -> mmap.mmap:
        return mmap.mmap(file.fileno(), size)


@cache
def _is_memory() -> bool:
    """True if the folder is what it should be; some containers have a plain one there."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
            fields = [line.split() for line in mounts]
    except OSError:
        return False
    kinds = [kind for _, where, kind, *_ in fields if where == MEMORY_FOLDER]
    return kinds[-1:] == ["tmpfs"]
