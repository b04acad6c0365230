"""Decides what runs next: events in, decisions out.

Every public method is an event, called by the dispatcher, and returns the decisions that
follow from it. Nothing here starts, waits, reads a clock or knows a process; a worker is
a number. ``PARENT`` stands for the parent process, which runs pinned steps one at a time.

A worker has one step at a time, and behind it a batch of steps that are known to be short: they
wait for nobody's answer. A chain of short steps goes to one worker as a whole. What waits in
a batch is taken back when the step in front of it takes longer than expected.

Covers: readiness, order, placement, batches, release of datasets, stopping after a failure.
Does not cover: how data moves, what a failure looks like, how a worker is started.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from prunner.planning.batches import Batches
from prunner.planning.memory import Needs
from prunner.planning.plan import RunPlan
from prunner.planning.ready import ReadyQueue

PARENT = -1
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Start:
    """Start a step on a worker, or in the parent process where ``worker == PARENT``.

    Attributes:
        step: Which step.
        worker: Where. If the worker is busy, the step follows what it has to do already.
        after: Parents that have not finished yet, and come before it on the same worker.
    """

    step: int
    worker: int
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Let a worker give back the steps that it has not begun."""

    worker: int


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody will load this dataset again in this run."""

    dataset: str


Decision = Start | TakeBack | Release


class Scheduler:
    """The state of a run.

    Attributes:
        running: The step that runs on each busy worker.
        batches: The steps that wait behind these.
        done: Steps that finished well.
        failed: Steps that failed.
        stopping: True once a step failed: nothing new starts.
        pinned: Steps that run, or ran, in the parent process.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.running: dict[int, int] = {}
        self.batches = Batches(plan)
        self.done: set[int] = set()
        self.failed: set[int] = set()
        self.stopping = False
        self.pinned = set(plan.pinned)
        self._idle: list[int] = []
        self._open = False
        self._place: dict[int, int] = {}
        self._missing = [len(step.parents) for step in plan.steps]
        self._needs = Needs(plan)
        self._for_workers = ReadyQueue()
        self._for_parent = ReadyQueue()
        self._slow: set[int] = set()
        for step in plan.steps:
            self._enqueue_if_ready(step.index)

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
        heappush(self._idle, worker)
        return self._assign()

    def step_finished(
        self, index: int, seconds: float | None = None, sizes: Mapping[str, int] = _NOTHING
    ) -> list[Decision]:
        """A step ran to its end and its outputs can be loaded.

        Args:
            index: The step.
            seconds: How long it took, if that is known.
            sizes: Bytes of its in-memory outputs.
        """
        if seconds is not None:
            self.batches.estimates.learn(index, seconds)
        worker = self._vacate(index)
        self.done.add(index)
        self._needs.sizes.update(sizes)
        step = self.plan.steps[index]
        for child in step.children:
            self._missing[child] -= 1
            if not self._missing[child]:
                self._enqueue_if_ready(child)
        unneeded, last = self._needs.done(step)
        for other in last:
            self._reconsider(other)
        return [*map(Release, unneeded), *self._assign(worker)]

    def step_failed(self, index: int) -> list[Decision]:
        """A step raised. Steps that run go on, no new one starts."""
        self._vacate(index)
        self.failed.add(index)
        return self.stop()

    def worker_overdue(self, worker: int) -> list[Decision]:
        """A worker on which steps wait has not finished one for longer than expected."""
        if worker in self._slow or not self.batches.of(worker):
            return []
        self._slow.add(worker)
        return [TakeBack(worker)]

    def steps_returned(self, worker: int, steps: Collection[int]) -> list[Decision]:
        """A worker gives back steps that it has not begun."""
        self._slow.discard(worker)
        self.batches.remove(worker, steps)
        for step in steps:
            self._leave(step)
        if self.running.get(worker) in steps:
            self._go_on(worker)
        for step in steps:
            self._enqueue_if_ready(step)
        return self._assign()

    def worker_gone(self, worker: int) -> int | None:
        """A worker process ended.

        Returns:
            The step that ran there and is to blame or to be pitied, if any.
        """
        if worker in self._idle:
            self._idle.remove(worker)
            heapify(self._idle)
        self.stopping = True
        for waiting in self.batches.of(worker):
            self._leave(waiting)
        self.batches.remove(worker, self.batches.of(worker))
        step = self.running.pop(worker, None)
        if step is not None:
            self._leave(step)
            self.failed.add(step)
        return step

    def stop(self) -> list[Decision]:
        """Start nothing more, and take back what has not begun."""
        self.stopping = True
        return [each for worker in self.batches.workers for each in self.worker_overdue(worker)]

    def pin(self, steps: Iterable[int]) -> None:
        """These steps turned out to need the parent process. They must not have started."""
        steps = set(steps)
        self.pinned |= steps
        for step in self._for_workers.take(steps):
            self._enqueue_if_ready(step)

    def validate(self) -> None:
        """Check every invariant.

        Raises:
            AssertionError: If the state contradicts itself.
        """
        waiting = [step for worker in self.batches.workers for step in self.batches.of(worker)]
        placed = [*self.running.values(), *waiting]
        queued = [*self._for_workers, *self._for_parent]
        assert len(placed) == len(set(placed)), "a step runs twice"
        assert set(placed) == set(self._place), "a step is not where it was started"
        assert not (self.done | self.failed | set(placed)) & set(queued), (
            "a queued step has started"
        )
        assert len(queued) == len(set(queued)), "a step is queued twice"
        assert not set(self._idle) & set(self.running), "a worker is idle and busy"
        assert set(self.batches.workers) <= set(self.running), "a step waits behind nothing"
        for index in {*self.done, *self.failed, *queued, *self.running.values()}:
            assert self.plan.steps[index].parents <= self.done, "a step came before its parent"
        for worker in self.batches.workers:
            before = self.done | {self.running[worker]}
            for index in self.batches.of(worker):
                assert self.plan.steps[index].parents <= before, "a step came before its parent"
                before.add(index)
        for worker, index in self.running.items():
            assert (worker == PARENT) == (index in self.pinned), "a step runs in the wrong place"
        assert not self.pinned & set(waiting), "a step waits in the wrong place"
        assert all(n >= 0 for n in self._needs.loads_left.values()), "released too early"
        if self._open and not self.stopping:
            assert not (self._idle and self._for_workers), "a worker idles though work is ready"

    def _enqueue_if_ready(self, index: int) -> None:
        if not self._missing[index] and index not in self._place:
            queue = self._for_parent if index in self.pinned else self._for_workers
            step = self.plan.steps[index]
            queue.push(index, step.rank, self._needs.frees(step))

    def _reconsider(self, index: int) -> None:
        if index in self._for_workers or index in self._for_parent:
            self._enqueue_if_ready(index)

    def _vacate(self, index: int) -> int:
        """A step has left its worker, which goes on with the next one."""
        worker = self._place[index]
        assert self.running[worker] == index, "steps end in the order in which they were sent"
        self._leave(index)
        self._go_on(worker)
        return worker

    def _leave(self, index: int) -> None:
        worker = self._place.pop(index)
        if worker != PARENT:
            self.batches.parent_left(index, worker)

    def _go_on(self, worker: int) -> None:
        following = self.batches.next(worker)
        if following is not None:
            self.running[worker] = following
            return
        del self.running[worker]
        if worker != PARENT:
            heappush(self._idle, worker)

    def _assign(self, worker: int = PARENT) -> list[Decision]:
        """Start what can start, and fill up the batch of a worker that has finished a step."""
        if self.stopping or not self._open:
            return []
        starts: list[Decision] = []
        if self._for_parent and PARENT not in self.running:
            starts.append(self._start(self._for_parent.pop(), PARENT))
        begun = [worker] if worker in self.running and worker != PARENT else []
        while self._for_workers and self._idle:
            begun.append(heappop(self._idle))
            starts.append(self._start(self._for_workers.pop(), begun[-1]))
        for each in begun:
            starts += self._fill(each)
        return starts

    def _fill(self, worker: int) -> list[Decision]:
        if worker in self._slow:
            return []
        room = self.batches.room(worker, self.running[worker])
        if room <= 0:
            return []
        starts: list[Decision] = []
        # Batches get smaller towards the end, so that all workers come to it together.
        share = len(self._for_workers) // (2 * (len(self.running) + len(self._idle)))
        while room > 0 and not self.batches.is_full(worker):
            step, seconds = self._next_short(worker, share > 0)
            if step is None:
                break
            share -= not self._missing[step]
            room -= seconds
            starts.append(self._start(step, worker))
        self.batches.filled(worker)
        return starts

    def _next_short(self, worker: int, ready_too: bool) -> tuple[int | None, float]:
        """The most urgent step that may wait on a worker, if it is a short one."""
        ready = self._for_workers.first() if ready_too else None
        follower = self.batches.follower(worker, self._missing, self._may_follow)
        step = ready if follower is None else follower
        if ready is not None and follower is not None:
            steps = self.plan.steps
            step = follower if steps[follower].rank > steps[ready].rank else ready
        seconds = None if step is None else self.batches.seconds(step)
        if seconds is None:
            return None, 0.0
        if step == ready:
            self._for_workers.pop()
        return step, seconds

    def _may_follow(self, index: int) -> bool:
        return self._missing[index] > 0 and not (index in self._place or index in self.pinned)

    def _start(self, index: int, worker: int) -> Start:
        after: tuple[int, ...] = ()
        if self._missing[index]:
            after = tuple(sorted(self.plan.steps[index].parents - self.done))
        self._place[index] = worker
        if worker in self.running:
            self.batches.append(worker, index)
        else:
            self.running[worker] = index
        if worker != PARENT:
            self.batches.parent_placed(index, worker, self._missing)
        return Start(index, worker, after)
