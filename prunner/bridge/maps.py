"""Data files as memory: mapped, or read.

A private map of a file shares its pages with all other readers until somebody writes, but keeps a
handle of the file open as long as it lasts. A process may have few of these (256 on macOS and 1024
on Linux, unless somebody has asked for more), and a node may have thousands of inputs. So small
files are read, which takes no longer, and so are those beyond a certain number.

Covers: maps and their number. Does not cover: what the bytes mean (``data``).
"""

from __future__ import annotations

import ctypes
import mmap
import weakref

from prunner.bridge.locks import lock_shared
from prunner.bridge.packing import ALIGNMENT
from prunner.bridge.recycling import is_recycled

_MAPPED_FROM = 1 << 17  # bytes
_MOST_MAPS = 128

_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def view(path: str, size: int, *, mapped: bool) -> memoryview:
    """Give the bytes of a file, to be changed by this process alone.

    Args:
        path: The file.
        size: How many of its bytes are wanted.
        mapped: Whether the file may be mapped.

    Returns:
        The bytes. A file that might be written over is not as long as it is mapped.

    Raises:
        FileNotFoundError: If the data has been released.
    """
    with open(path, "rb") as file:
        if is_recycled(path, size):
            lock_shared(file, path)
        if mapped and size >= _MAPPED_FROM and len(_maps) < _MOST_MAPS:
            found = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
            _maps.add(found)
            return memoryview(found)
        content = _aligned(size)
        file.readinto(content)
        return content


def _aligned(size: int) -> memoryview:
    """Fresh memory at an address that suits any array, as that of a map does."""
    content = bytearray(size + ALIGNMENT)
    start = -ctypes.addressof(ctypes.c_char.from_buffer(content)) % ALIGNMENT
    return memoryview(content)[start : start + size]
