"""The pool of a run: its workers, numbered from 0.

    take     from the keeper: workers that are idle, and new ones
    order    what the dispatcher wants
    replace  another one for one that has ended, with a number of its own
    end      back to the keeper, or to their end

Covers: which worker has which number in a run, and what becomes of them when it ends.
Does not cover: what the messages mean, how a process is started (``process``).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from prunner.processes.keeper import Member, WorkerKind, keeper
from prunner.processes.process import GRACE, stop_all
from prunner.processes.usage import Memory, UsageWatch


class WorkerPool:
    """Worker processes of one run.

    Args:
        kind: What they are started with.
        setup: Makes what new ones are started with: a pickled ``worker.WorkerSetup``.
        inbox: Where everything that workers say, or that is known of them, is put.
        idle_timeout: Seconds that they wait for a next run.
    """

    def __init__(
        self,
        kind: WorkerKind,
        setup: Callable[[], bytes],
        inbox: queue.SimpleQueue[Any],
        idle_timeout: float,
    ) -> None:
        self._kind = kind
        self._setup = setup
        self._inbox = inbox
        self._idle_timeout = idle_timeout
        self._members: list[Member] = []
        self._usage: UsageWatch | None = None
        self._changing = threading.Lock()
        self._is_over = False

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        with self._changing:
            self._is_over = True
        if self._usage is not None:
            self._usage.stop()
        free = self._free() if error is None else []
        staying = keeper.keep(free, self._idle_timeout)
        leaving = [each.process for each in self._members if each not in staying]
        stop_all(leaving, kill=error is not None)
        self._members = []

    def start(self, count: int) -> None:
        """Get that many workers; each reports by itself when it is ready."""
        self._members = keeper.take(self._kind, count, self._setup)
        if self._members:
            self._usage = UsageWatch(self._inbox.put)
        for number, each in enumerate(self._members):
            self._serve(number, each)

    def replace(self) -> int:
        """Take another worker since one has ended.

        Returns:
            Its number. No number is used twice: what is on its way to the one that has ended, such
            as the answer to a hook call, must not reach another one.
        """
        number = len(self._members)
        with self._changing:
            if not self._is_over:  # else nobody would end it
                self._members += keeper.take(self._kind, 1, self._setup)
                self._serve(number, self._members[number])
        return number

    @property
    def pids(self) -> dict[int, int]:
        """The process of each worker that there has been, by its number."""
        pids = {number: each.process.pid for number, each in enumerate(self._members)}
        return {number: pid for number, pid in pids.items() if pid is not None}

    def end(self, number: int) -> None:
        """End a worker in the middle of a step, and note where it was."""
        self._members[number].process.end_stuck()

    def _serve(self, number: int, member: Member) -> None:
        assert self._usage is not None
        self._usage.add(number, member.process.pid)
        member.process.serve(self._inbox, number)

    def order(self, number: int, message: Any) -> bool:
        """Tell a worker what to do; its end, if it is gone, is reported to the inbox.

        Returns:
            False if it certainly does not hear of it.
        """
        return self._members[number].process.order(message)

    def memory(self, number: int) -> Memory | None:
        """What is known of a worker's memory, and of the machine's."""
        return None if self._usage is None else self._usage.of(number)

    def answer(self, number: int, message: Any) -> None:
        """Answer the hook call for which a worker waits."""
        self._members[number].process.answer(message)

    def _free(self) -> list[Member]:
        """End the run, and find the workers that can serve another one."""
        if any(each.process.has_ended for each in self._members):
            return []  # what one of them has died of, the others may have too
        for each in self._members:
            each.process.end_run()
        deadline = time.monotonic() + GRACE
        return [each for each in self._members if each.process.wait_until_free(deadline)]
