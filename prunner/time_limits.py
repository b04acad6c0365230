"""Steps that take longer than they may. Pure: it reads no clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prunner.planning.decisions import PARENT
from prunner.planning.policy import RunPolicy


class TimeIsUp(NamedTuple):
    """A step has had its time, unless its worker has gone on meanwhile.

    Attributes:
        worker: Where it ran.
        step: Which one.
        since: When it began.
    """

    worker: int
    step: int
    since: float


class TimeLimits:
    """The steps that run and whose time is limited.

    Args:
        policy: The rules for steps.
    """

    def __init__(self, policy: RunPolicy) -> None:
        self._policy = policy
        self._are_there = policy.limits_time  # found among all steps, asked at each event
        self._began: dict[int, tuple[int, float]] = {}  # by worker
        self._paused: dict[int, float] = {}  # since when each worker waits for this process
        self._resumed: set[int] = set()  # workers whose limits are to be set anew
        self._overdue: dict[int, int] = {}  # by worker, which is being ended

    def watch(
        self, running: Mapping[int, int], now: Callable[[], float]
    ) -> Iterator[tuple[float, TimeIsUp]]:
        """Note which steps have begun.

        Args:
            running: The step that runs on each worker.
            now: Tells the time in seconds.

        Yields:
            What will be due when, for each of these whose time is limited.
        """
        if not self._are_there:
            return
        for worker, (step, _) in list(self._began.items()):
            if running.get(worker) != step:
                del self._began[worker]
                self._paused.pop(worker, None)
                self._resumed.discard(worker)
        for worker, step in running.items():
            timeout = self._policy.of(step).timeout
            if worker != PARENT and worker not in self._began and timeout is not None:
                since = now()
                self._began[worker] = step, since
                yield since + timeout, TimeIsUp(worker, step, since)
        while self._resumed:
            worker = self._resumed.pop()
            step, since = self._began[worker]
            yield since + (self._policy.of(step).timeout or 0.0), TimeIsUp(worker, step, since)

    def pause(self, worker: int, now: Callable[[], float]) -> None:
        """A worker waits for this process, which may be busy: that is not its own time."""
        if worker in self._began:
            self._paused[worker] = now()

    def go_on(self, worker: int, now: Callable[[], float]) -> None:
        """It waits no more."""
        paused = self._paused.pop(worker, None)
        if paused is not None and worker in self._began:
            step, since = self._began[worker]
            self._began[worker] = step, since + now() - paused
            self._resumed.add(worker)

    def is_up(self, alarm: TimeIsUp) -> bool:
        """Whether the step still runs; its worker is to be ended then."""
        is_current = self._began.get(alarm.worker) == (alarm.step, alarm.since)
        if not is_current or alarm.worker in self._paused:
            return False
        self._overdue[alarm.worker] = alarm.step
        return True

    def forget(self, worker: int) -> int | None:
        """A worker has ended; the step that was overdue there, if one was."""
        self._began.pop(worker, None)
        self._paused.pop(worker, None)
        self._resumed.discard(worker)
        return self._overdue.pop(worker, None)
