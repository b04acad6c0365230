"""How much memory workers use, and how much the machine has left.

When a worker has ended nobody can say any more how much it had used, nor how little was left at
that time; so both are looked at from time to time while workers run.

Covers: looking, and what was seen last. Does not cover: what follows from it.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import NamedTuple

import psutil

INTERVAL = 0.1  # seconds between two looks
_CGROUP = Path("/sys/fs/cgroup")  # of Linux, version 2; another one where there are containers
_SCARCE = 0.03  # the part of all memory below which a process may be ended for lack of it


class Memory(NamedTuple):
    """What is known of memory.

    Attributes:
        peak: The most that the worker was seen to use, in bytes; ``None`` if it never was.
        free: What the machine, or the control group, had left when it was looked at last, in bytes.
        total: All that there is, in bytes.
        killings: How often the system has ended a process of the group for lack of memory since
            the watch began.
    """

    peak: int | None
    free: int
    total: int
    killings: int

    @property
    def is_likely_cause(self) -> bool:
        """True if the system is likely to have ended a process that was killed."""
        return self.killings > 0 or self.free < _SCARCE * self.total


class UsageWatch:
    """Looks at workers, on a thread of its own, until it is told to stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, psutil.Process] = {}
        self._peaks: dict[int, int] = {}
        self._free, self._total = free_memory()
        self._killings = killings()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="prunner-usage", daemon=True)
        self._thread.start()

    def add(self, pid: int | None) -> None:
        """Look at this process, too."""
        with contextlib.suppress(psutil.Error), self._lock:
            if pid is not None:
                self._watched[pid] = psutil.Process(pid)

    def of(self, pid: int | None) -> Memory:
        """What was seen of a process, which may have ended."""
        with self._lock:
            peak = None if pid is None else self._peaks.get(pid)
            return Memory(peak, self._free, self._total, killings() - self._killings)

    def stop(self) -> None:
        """Look no more."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(INTERVAL):
            self.look()

    def look(self) -> None:
        """Look once."""
        with self._lock:
            for pid, process in list(self._watched.items()):
                try:
                    used = process.memory_info().rss
                except psutil.Error:
                    del self._watched[pid]
                    continue
                if used:  # a process that has ended uses nothing
                    self._peaks[pid] = max(used, self._peaks.get(pid, 0))
            self._free, self._total = free_memory()


def free_memory() -> tuple[int, int]:
    """Bytes that processes can still get, and bytes that there are at all.

    The limit of the control group counts where there is one: in containers it ends processes.
    """
    machine = psutil.virtual_memory()
    limit, used = _number("memory.max"), _number("memory.current")
    if limit is None or used is None or limit >= machine.total:
        return machine.available, machine.total
    # Pages of files that nobody needs count as used, and go when somebody needs the memory.
    left = limit - used + (_stat("inactive_file") or 0)
    return max(0, min(left, machine.available)), limit


def killings() -> int:
    """How often the system has ended a process of this control group for lack of memory."""
    return _stat("oom_kill", "memory.events") or 0


def _number(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((_CGROUP / name).read_text(encoding="utf-8"))
    return None  # there is no such file, or it says "max"


def _stat(key: str, name: str = "memory.stat") -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in (_CGROUP / name).read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{key} "):
                return int(line.split()[1])
    return None
