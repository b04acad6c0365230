"""Decides what runs next: events in, decisions out.

Every public method is an event, called by the dispatcher, and returns the decisions that
follow from it. Nothing here starts, waits, reads a clock or knows a process; a worker is
a number. ``PARENT`` stands for the parent process, which runs pinned steps one at a time.

Covers: readiness, order, placement, release of datasets, stopping after a failure.
Does not cover: how data moves, what a failure looks like, how a worker is started.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from prunner.planning.plan import RunPlan, Step

PARENT = -1


@dataclass(frozen=True, slots=True)
class Start:
    """Start a step on a worker, or in the parent process where ``worker == PARENT``."""

    step: int
    worker: int


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody will load this dataset again in this run."""

    dataset: str


Decision = Start | Release


class Scheduler:
    """The state of a run.

    Attributes:
        running: The step that runs on each busy worker.
        done: Steps that finished well.
        failed: Steps that failed.
        stopping: True once a step failed: nothing new starts.
        pinned: Steps that run, or ran, in the parent process.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.running: dict[int, int] = {}
        self.done: set[int] = set()
        self.failed: set[int] = set()
        self.stopping = False
        self.pinned = set(plan.pinned)
        self._idle: list[int] = []
        self._open = False
        self._waiting = {step.index: len(step.parents) for step in plan.steps}
        self._loads_left = dict(plan.load_counts)
        self._for_workers: list[tuple[int, int]] = []
        self._for_parent: list[tuple[int, int]] = []
        for step in plan.steps:
            if not step.parents:
                self._enqueue(step)

    @property
    def finished(self) -> bool:
        """True when nothing runs and nothing more will start."""
        return not self.running and (self.stopping or len(self.done) == len(self.plan.steps))

    def begin(self) -> list[Decision]:
        """The run begins without waiting for a worker: there is none to wait for."""
        self._open = True
        return self._assign()

    def worker_ready(self, worker: int) -> list[Decision]:
        """A worker has set up the project and can take a step."""
        self._open = True
        heapq.heappush(self._idle, worker)
        return self._assign()

    def step_finished(self, index: int) -> list[Decision]:
        """A step ran to its end and its outputs can be loaded."""
        self._vacate(index)
        self.done.add(index)
        step = self.plan.steps[index]
        for child in step.children:
            self._waiting[child] -= 1
            if not self._waiting[child]:
                self._enqueue(self.plan.steps[child])
        return [*self._releases(step), *self._assign()]

    def step_failed(self, index: int) -> list[Decision]:
        """A step raised. Steps that run go on, no new one starts."""
        self._vacate(index)
        self.failed.add(index)
        return self.stop()

    def worker_gone(self, worker: int) -> int | None:
        """A worker process ended.

        Returns:
            The step that ran there and is to blame or to be pitied, if any.
        """
        if worker in self._idle:
            self._idle.remove(worker)
            heapq.heapify(self._idle)
        self.stopping = True
        step = self.running.pop(worker, None)
        if step is not None:
            self.failed.add(step)
        return step

    def stop(self) -> list[Decision]:
        """Start nothing more."""
        self.stopping = True
        return []

    def pin(self, steps: Iterable[int]) -> None:
        """These steps turned out to need the parent process. They must not have started."""
        self.pinned.update(steps)
        moved = [entry for entry in self._for_workers if entry[1] in self.pinned]
        for entry in moved:
            self._for_workers.remove(entry)
            heapq.heappush(self._for_parent, entry)
        heapq.heapify(self._for_workers)

    def validate(self) -> None:
        """Check every invariant.

        Raises:
            AssertionError: If the state contradicts itself.
        """
        started = self.done | self.failed | set(self.running.values())
        queued = [index for _, index in self._for_workers + self._for_parent]
        assert len(self.running) == len(set(self.running.values())), "a step runs twice"
        assert not started & set(queued), "a queued step has started"
        assert len(queued) == len(set(queued)), "a step is queued twice"
        assert not set(self._idle) & set(self.running), "a worker is idle and busy"
        for index in started | set(queued):
            assert self.plan.steps[index].parents <= self.done, "a step came before its parent"
        for worker, index in self.running.items():
            assert (worker == PARENT) == (index in self.pinned), "a step runs in the wrong place"
        assert all(count >= 0 for count in self._loads_left.values()), "released too early"
        if self._open and not self.stopping:
            assert not (self._idle and self._for_workers), "a worker idles though work is ready"

    def _enqueue(self, step: Step) -> None:
        queue = self._for_parent if step.index in self.pinned else self._for_workers
        heapq.heappush(queue, (-step.rank, step.index))

    def _vacate(self, index: int) -> None:
        worker = next(worker for worker, step in self.running.items() if step == index)
        del self.running[worker]
        if worker != PARENT:
            heapq.heappush(self._idle, worker)

    def _assign(self) -> list[Decision]:
        if self.stopping or not self._open:
            return []
        starts: list[Decision] = []
        if self._for_parent and PARENT not in self.running:
            starts.append(self._start(self._for_parent, PARENT))
        while self._for_workers and self._idle:
            starts.append(self._start(self._for_workers, heapq.heappop(self._idle)))
        return starts

    def _start(self, queue: list[tuple[int, int]], worker: int) -> Start:
        _, index = heapq.heappop(queue)
        self.running[worker] = index
        return Start(index, worker)

    def _releases(self, step: Step) -> list[Decision]:
        # As Kedro's AbstractRunner: inputs after their last load, outputs that nobody loads.
        released: list[Decision] = []
        for name in step.inputs:
            self._loads_left[name] -= 1
            if not self._loads_left[name] and name not in self.plan.kept_inputs:
                released.append(Release(name))
        for name in step.outputs:
            if not self._loads_left.get(name) and name not in self.plan.kept_outputs:
                released.append(Release(name))
        return released
