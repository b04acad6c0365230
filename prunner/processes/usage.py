"""How much memory workers use, and how much the machine has left.

When a worker has ended nobody can say any more how much it had used, nor how little was left at
that time; so both are looked at from time to time while workers run.

Covers: looking, and what was seen last. Does not cover: what follows from it (``admission``).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil

from prunner.bridge.messages import MemorySeen
from prunner.processes.cgroups import groups_of_this_process

INTERVAL = 0.1  # seconds between two looks
_FEW = 16  # workers; for more, looks are rarer, since each costs some microseconds for each worker
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
    """Looks at workers, on a thread of its own, until it is told to stop.

    Args:
        report: Takes what is seen.
    """

    def __init__(self, report: Callable[[MemorySeen], Any]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._watched: dict[int, psutil.Process] = {}  # by the number of the worker
        self._peaks: dict[int, int] = {}
        self._machine = MachineMemory()
        self._free = self._machine.total
        self._killings = self._machine.killings()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="prunner-usage", daemon=True)
        self.look()
        self._thread.start()

    def add(self, number: int, pid: int | None) -> None:
        """Look at this worker, too.

        Args:
            number: Its number in the run.
            pid: Its process.
        """
        with contextlib.suppress(psutil.Error), self._lock:
            if pid is not None:
                self._watched[number] = psutil.Process(pid)

    def of(self, number: int) -> Memory:
        """What was seen of a worker, which may have ended."""
        with self._lock:
            killings = self._machine.killings() - self._killings
            return Memory(self._peaks.get(number), self._free, self._machine.total, killings)

    def stop(self) -> None:
        """Look no more."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(INTERVAL * max(1.0, len(self._watched) / _FEW)):
            self.look()

    def look(self) -> None:
        """Look once."""
        used = {}
        with self._lock:
            for number, process in list(self._watched.items()):
                try:
                    info = process.memory_info()
                except psutil.Error:
                    del self._watched[number]
                    continue
                if info.rss:  # a process that has ended uses nothing
                    self._peaks[number] = max(info.rss, self._peaks.get(number, 0))
                    used[number] = _of_its_own(info)
            self._free = self._machine.free()
        self._report(MemorySeen(self._free, self._machine.total, used))


class MachineMemory:
    """The memory that this process and its workers may use.

    The limits of control groups count where there are some: in containers they end processes.

    Attributes:
        total: All that there is, in bytes.
    """

    def __init__(self) -> None:
        machine = psutil.virtual_memory().total
        self._groups = groups_of_this_process(machine)
        self.total: int = min([machine, *(group.limit for group in self._groups)])

    def free(self) -> int:
        """Bytes that processes can still get."""
        machine: int = psutil.virtual_memory().available
        return min([machine, *(group.free() for group in self._groups)])

    def killings(self) -> int:
        """How often the system has ended a process for lack of memory, where that is told."""
        return max((group.killings() for group in self._groups), default=0)


if sys.platform == "linux":

    def _of_its_own(info: Any) -> int:
        # Data files of the run that it has mapped are there once, whoever maps them.
        return int(info.rss - info.shared)

elif sys.platform == "win32":

    def _of_its_own(info: Any) -> int:
        return int(info.vms)  # what is committed for it alone

else:

    def _of_its_own(info: Any) -> int:
        return int(info.rss)
