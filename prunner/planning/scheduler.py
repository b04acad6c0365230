"""Decides what runs next: events in, decisions out.

Every public method is an event, called by the dispatcher, and returns the decisions that
follow from it. Nothing here starts, waits, reads a clock or knows a process; a worker is
a number. ``PARENT`` stands for the parent process, which runs pinned steps one at a time.

A worker has one step at a time, and behind it a batch of steps that are known to be short: they
wait for nobody's answer. A chain of short steps goes to one worker as a whole. What waits in
a batch is taken back when the step in front of it takes longer than expected.

A step whose worker has died, or that has raised, may be tried again (``policy``); what waited
behind it goes to other workers, and its worker is replaced. One that was killed for lack of
memory is tried once more while nothing else runs.

Covers: readiness, order, placement, batches, release of datasets, tries, what a failure stops.
Does not cover: how data moves, what a failure looks like, how a worker is started, time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from prunner.planning.admission import Admission
from prunner.planning.batches import Batches
from prunner.planning.decisions import (
    PARENT,
    Decision,
    GiveUp,
    Release,
    Replace,
    Retry,
    Start,
    TakeBack,
)
from prunner.planning.memory import Needs
from prunner.planning.plan import RunPlan
from prunner.planning.policy import NO_POLICY, RunPolicy
from prunner.planning.ready import ReadyQueue

_NOTHING: Mapping[str, int] = MappingProxyType({})


class Scheduler:
    """The state of a run.

    Attributes:
        running: The step that runs on each busy worker.
        batches: The steps that wait behind these.
        done: Steps that finished well.
        failed: Steps that failed for good.
        skipped: Steps that will not run since one that they depend on has failed.
        waiting: Steps to be tried again, when it is time.
        stopping: True when nothing new starts.
        pinned: Steps that run, or ran, in the parent process.
        admission: What is known of memory.
        is_holding: True while a step waits for memory, though a worker is idle.
    """

    def __init__(self, plan: RunPlan, policy: RunPolicy = NO_POLICY) -> None:
        self.plan = plan
        self.policy = policy
        self.running: dict[int, int] = {}
        self.batches = Batches(plan)
        self.done: set[int] = set()
        self.failed: set[int] = set()
        self.skipped: set[int] = set()
        self.stopping = False
        self._failures: Counter[int] = Counter()
        self.waiting: set[int] = set()
        self._to_be_alone: set[int] = set()  # when they are tried again
        self._been_alone: set[int] = set()
        self._alone: int | None = None  # the step beside which nothing runs
        self.pinned = set(plan.pinned)
        self._idle: list[int] = []
        self._open = False
        self._place: dict[int, int] = {}
        self._makers = {name: step.index for step in plan.steps for name in step.outputs}
        self._missing = [len(step.parents) for step in plan.steps]
        self._needs = Needs(plan)
        self._for_workers = ReadyQueue()
        self._for_parent = ReadyQueue()
        self._slow: set[int] = set()
        self.admission = Admission(plan, policy.memory)
        self.is_holding = False
        for step in plan.steps:
            self._enqueue_if_ready(step.index)

    @property
    def finished(self) -> bool:
        """True when nothing runs and nothing more will start."""
        ended = len(self.done) + len(self.failed) + len(self.skipped)
        return not self.running and (self.stopping or ended == len(self.plan.steps))

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
        self.admission.finish(self._place[index], index, sum(sizes.values()))
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

    def step_failed(self, index: int, *, may_retry: bool = False) -> list[Decision]:
        """A step raised. Steps that run go on.

        Args:
            index: The step.
            may_retry: Whether it raised something after which it may be tried again.
        """
        worker = self._vacate(index)
        return [*self._failed(index, may_retry), *self._assign(worker)]

    def step_due(self, index: int) -> list[Decision]:
        """The time has come to try a step again."""
        self.waiting.discard(index)
        if self.stopping:
            return []
        self._enqueue_if_ready(index)
        return self._assign()

    def memory_seen(self, free: int, total: int, used: Mapping[int, int]) -> list[Decision]:
        """Somebody has looked at memory.

        Args:
            free: Bytes that processes can still get.
            total: Bytes that there are at all.
            used: Bytes that each worker has for itself alone.
        """
        is_limited = self.policy.memory.limit is not None  # else nobody asks for the data
        data = sum(self._needs.sizes.values()) if is_limited else 0
        self.admission.see(free, total, used, data)
        return self._assign() if self.is_holding else []

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
            if step == self._alone:
                self._to_be_alone.add(step)  # it has not been tried
                self._been_alone.discard(step)
            self._leave(step)
        if self.running.get(worker) in steps:
            self._go_on(worker)
        for step in steps:
            self._enqueue_if_ready(step)
        return self._assign()

    def worker_gone(
        self, worker: int, *, for_memory: bool = False, is_blameless: bool = False
    ) -> list[Decision]:
        """A worker process ended, and with it the step that ran there.

        Args:
            worker: The worker.
            for_memory: Whether the system is likely to have ended it for lack of memory.
            is_blameless: Whether the step has nothing to do with it, and loses no try.
        """
        if worker in self._idle:
            self._idle.remove(worker)
            heapify(self._idle)
        self._slow.discard(worker)
        waiting = self.batches.of(worker)
        self.batches.remove(worker, waiting)
        for step in waiting:
            self._leave(step)
        decisions: list[Decision] = []
        if worker in self.running:
            step = self.running.pop(worker)
            self._leave(step)
            if for_memory:
                self.admission.has_died_for_memory(worker, step)
            if is_blameless and not self.stopping:
                self.waiting.add(step)
                decisions.append(Retry(step, 0.0))
            else:
                decisions += self._failed(step, True, for_memory)
        for step in waiting:
            self._enqueue_if_ready(step)
        if not self.stopping and not self.finished:
            decisions.append(Replace(worker))
        return [*decisions, *self._assign()]

    def stop(self) -> list[Decision]:
        """Start nothing more, and take back what has not begun."""
        self.stopping = True
        return [each for worker in self.batches.workers for each in self.worker_overdue(worker)]

    def _failed(self, index: int, may_retry: bool, for_memory: bool = False) -> list[Decision]:
        """Try a step again, or give it up and all that depend on it."""
        self._failures[index] += 1
        policy, failures = self.policy.of(index), self._failures[index]
        # Beside others it has had too little memory; once more with all that there is.
        alone = for_memory and index not in self._been_alone
        if not self.stopping and (alone or (may_retry and failures <= policy.retries)):
            self.waiting.add(index)
            if alone:
                self._to_be_alone.add(index)
            return [Retry(index, policy.delay(failures), alone)]
        self.failed.add(index)
        if not self.policy.keep_going:
            return [GiveUp(index), *self.stop()]
        skipped = self._descendants(index) - self.skipped
        self.skipped |= skipped
        unneeded = [name for step in (index, *sorted(skipped)) for name in self._let_go(step)]
        return [GiveUp(index, tuple(sorted(skipped))), *map(Release, unneeded)]

    def _let_go(self, index: int) -> list[str]:
        """A step will load nothing any more; the datasets of which it was the last reader."""
        step = self.plan.steps[index]
        unneeded, last = self._needs.done(step)
        for other in last:
            self._reconsider(other)
        return [name for name in unneeded if self._is_made(name)]

    def _is_made(self, dataset: str) -> bool:
        maker = self._makers.get(dataset)
        return maker is None or maker in self.done

    def _descendants(self, index: int) -> set[int]:
        found: set[int] = set()
        reached = [index]
        while reached:
            new = set(self.plan.steps[reached.pop()].children) - found
            found |= new
            reached += new
        return found

    def pin(self, steps: Iterable[int]) -> None:
        """These steps turned out to need the parent process. They must not have started."""
        steps = set(steps)
        self.pinned |= steps
        self._to_be_alone -= steps
        for step in self._for_workers.take(steps):
            self._enqueue_if_ready(step)

    def _enqueue_if_ready(self, index: int) -> None:
        held = index in self.waiting or index in self.failed or index in self.skipped
        if not self._missing[index] and index not in self._place and not held:
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
        if self._alone == index:
            self._alone = None
        if worker != PARENT:
            self.batches.parent_left(index, worker)

    def _go_on(self, worker: int) -> None:
        following = self.batches.next(worker)
        if following is not None:
            self.running[worker] = following
            self.admission.begin(worker)
            return
        del self.running[worker]
        if worker != PARENT:
            heappush(self._idle, worker)

    def _assign(self, worker: int = PARENT) -> list[Decision]:
        """Start what can start, and fill up the batch of a worker that has finished a step."""
        if self.stopping or not self._open:
            return []
        if self._alone is not None or self._to_be_alone - self.waiting:
            return self._assign_alone()
        starts: list[Decision] = []
        if self._for_parent and PARENT not in self.running:
            starts.append(self._start(self._for_parent.pop(), PARENT))
        begun = [worker] if worker in self.running and worker != PARENT else []
        self.is_holding = False
        while self._for_workers and self._idle:
            step = self._admitted(starts)
            if step is None:
                self.is_holding = True
                break
            begun.append(heappop(self._idle))
            starts.append(self._start(step, begun[-1]))
        for each in begun:
            starts += self._fill(each)
        return starts

    def _admitted(self, decisions: list[Decision]) -> int | None:
        """Take out what is to start next; ``None`` if there is no memory for any."""
        first = self._for_workers.first()
        assert first is not None
        if self.admission.fits(first, self.running):
            return self._for_workers.pop()
        hold = self.admission.hold(first)
        if hold is not None:
            decisions.append(hold)
        if self.policy.memory.mode == "log":
            return self._for_workers.pop()
        # What waits gets its memory the sooner, the sooner others let go of theirs.
        frees = {step: self._needs.frees(self.plan.steps[step]) for step in self._for_workers}
        freeing = max(frees, key=lambda step: frees[step])
        if not frees[freeing] or not self.admission.fits(freeing, self.running):
            return None
        self._for_workers.take({freeing})
        return freeing

    def _assign_alone(self) -> list[Decision]:
        """Start a step that is to be alone, when nothing runs; nothing beside it."""
        due = self._to_be_alone - self.waiting
        if self.running or not due or not self._idle:
            return []
        self._alone = min(due)
        self._to_be_alone.discard(self._alone)
        self._been_alone.add(self._alone)
        self._for_workers.take({self._alone})
        return [self._start(self._alone, heappop(self._idle))]

    def _fill(self, worker: int) -> list[Decision]:
        if worker in self._slow or self.is_holding:
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
        if index in self.waiting or index in self._to_be_alone or index in self.skipped:
            return False
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
            self.admission.begin(worker)
        if worker != PARENT:
            self.batches.parent_placed(index, worker, self._missing)
        return Start(index, worker, after)
