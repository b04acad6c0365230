"""How much memory a tree of processes takes, and which processes belong to it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

_PROC = Path("/proc")
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 (prunner's data is looked for here, not put)
_KIBIBYTE = 1024


class TreeBytes(NamedTuple):
    """The memory of several processes together.

    Attributes:
        processes: Bytes that the processes have mapped.
        with_files: The same with prunner's files in memory that none of them has mapped.
    """

    processes: int
    with_files: int


def tree_bytes(root: int, pids: Iterable[int]) -> TreeBytes:
    """Say how much memory several processes take together.

    Memory that several processes share is divided between them where the system can say so
    (``pss``, on Linux); elsewhere only what a process has for itself is counted (``uss``), or, if
    that cannot be known, all that it can see (``rss``).

    Args:
        root: The process that started the others.
        pids: All processes, ended ones included.

    Returns:
        Bytes.
    """
    sizes = [_process_bytes(pid) for pid in pids]
    own, mapped = sum(own for own, _ in sizes), sum(shared for _, shared in sizes)
    # A file in memory takes its room even while no process has it mapped.
    return TreeBytes(own + mapped, own + max(mapped, _bytes_of_memory_files(root)))


def measure_name() -> str:
    """Say which of the three measures is used on this machine."""
    if (_PROC / "self" / "smaps_rollup").exists():
        return "pss, and prunner's files in memory"
    try:
        psutil.Process().memory_full_info()
    except (psutil.Error, OSError):
        return "rss"
    return "uss"


def _process_bytes(pid: int) -> tuple[int, int]:
    """The bytes that count for a process, and apart from these its part of memory files."""
    # Read here, as psutil does not tell the two from each other.
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return _other_process_bytes(pid), 0
    sizes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)
    }
    shared = sizes.get("Pss_Shmem", 0)
    return (sizes.get("Pss", 0) - shared) * _KIBIBYTE, shared * _KIBIBYTE


def _other_process_bytes(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        try:
            return int(process.memory_full_info().uss)
        except (psutil.AccessDenied, OSError):
            return int(process.memory_info().rss)
    except (psutil.Error, OSError):
        return 0


def _bytes_of_memory_files(root: int) -> int:
    found = 0
    for file in _MEMORY_FOLDER.glob(f"prunner-{root}-*/*"):
        try:
            found += file.stat().st_size
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """List the processes below a process.

    Args:
        pid: Its id.

    Returns:
        Their ids.
    """
    # psutil has to look at all processes of the machine, which is too slow to be done many
    # times per second next to what is measured.
    if (_PROC / str(pid) / "task" / str(pid) / "children").exists():
        return _linux_descendants(pid)
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _linux_descendants(pid: int) -> list[int]:
    found: list[int] = []
    todo = [pid]
    while todo:
        try:
            tasks = list((_PROC / str(todo.pop()) / "task").iterdir())
            children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
        except OSError:
            continue
        found += children
        todo += children
    return found
