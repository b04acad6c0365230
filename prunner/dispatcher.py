"""The loop of a run, on a thread of its own: events in, steps and errands out.

      workers --(inbox)--> Dispatcher --(link)--> workers            next step
                              |   ^
                    (errands) v   | (inbox)
                       the thread that called run                    hooks, logs, pinned steps

The loop asks the scheduler what follows from an event, and does it. It never runs the
user's code, so that a slow hook, a slow log handler or a pinned step holds up nobody else.
What does run the user's code in the parent are errands, done in order on the thread that
called ``run`` (``errands``).
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from prunner.alarms import Alarms
from prunner.bridge.data import Exchange
from prunner.bridge.messages import (
    BeginRun,
    Failed,
    Finished,
    FromWorker,
    HookCall,
    MemorySeen,
    Printed,
    Ready,
    Recall,
    Returned,
    RunStep,
    RunSteps,
    StartFailed,
    WorkerGone,
)
from prunner.bridge.refs import DataRef
from prunner.errors import NodeTimeout, WorkerDied, WorkerStartError, describe_exit
from prunner.events import (
    Abort,
    Answered,
    AnswerHook,
    End,
    Errand,
    HandleLog,
    NoteDeath,
    NoteDone,
    NoteError,
    NoteFailed,
    NoteFailedHere,
    NoteHeld,
    RanHere,
    ReleaseDataset,
    RunHere,
)
from prunner.journal import Journal
from prunner.planning.decisions import (
    PARENT,
    Decision,
    GiveUp,
    Hold,
    Release,
    Replace,
    Retry,
    Start,
    TakeBack,
)
from prunner.planning.scheduler import Scheduler
from prunner.time_limits import TimeIsUp, TimeLimits

if TYPE_CHECKING:
    from prunner.processes.usage import Memory

_KILLED = -9  # exit code of a process that was ended by SIGKILL
_MOST_LOST = 3  # workers, each in the place of the one before, that end without a step to blame

# The steps of a batch take together a quarter of that, as far as is known.
PATIENCE = 0.02


class Pool(Protocol):
    """What the dispatcher needs of a pool of workers."""

    def order(self, number: int, message: Any) -> bool:
        """Tell a worker what to do; False if it certainly does not hear of it."""

    def answer(self, number: int, message: Any) -> None:
        """Answer the hook call for which a worker waits."""

    def replace(self) -> int:
        """Start another worker in the place of one that has ended; its number."""

    def memory(self, number: int) -> Memory | None:
        """What is known of a worker's memory, and of the machine's."""

    def end(self, number: int) -> None:
        """End a worker in the middle of a step, and note where it was."""


# --- alarms -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepDue:
    """The time has come to try a step again."""

    step: int


class Dispatcher:
    """One run.

    Args:
        scheduler: Decides what comes next.
        pool: Runs it.
        exchange: The data files of the run.
        begin: What each worker is told first.
        refs: In-memory data that there is already: inputs of the pipeline.
        inbox: Where events arrive.
        package: The project's package, for errors.
        journal: Where it is noted what happens when.

    Attributes:
        errands: What the calling thread has to do, in order; the last one is an ``End``.
        patience: Seconds that a worker on which steps wait may be silent.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run, made apart from it
        self,
        scheduler: Scheduler,
        pool: Pool,
        exchange: Exchange,
        begin: BeginRun,
        *,
        refs: dict[str, DataRef],
        inbox: queue.SimpleQueue[Any],
        package: str | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._journal = journal or Journal()
        self._journal.sizes.update({name: ref.size for name, ref in refs.items()})
        self.errands: queue.SimpleQueue[Errand] = queue.SimpleQueue()
        self.patience = PATIENCE
        self._refs = dict(refs)
        for ref in refs.values():
            exchange.count(ref)
        self._inbox = inbox
        self._scheduler = scheduler
        self._plan = scheduler.plan
        self._policy = scheduler.policy
        self._limits = TimeLimits(self._policy)
        self._pool = pool
        self._exchange = exchange
        self._begin = begin
        self._package = package
        self._ready: set[int] = set()
        self._refused: set[int] = set()
        self._start_has_failed = False
        self._not_begun: set[int] = set()  # steps that were sent to a worker that had ended
        self._lost: dict[int, int] = {}  # how many before each worker, in its place, were lost
        self._last_said: dict[int, float] = {}
        self._alarms = Alarms()

    def run(self, has_workers: bool) -> None:
        """Go on until nothing runs and nothing more will start.

        Args:
            has_workers: Whether workers have been started, one of which will report first.
        """
        try:
            if not has_workers:
                self._follow(self._scheduler.begin())
            while not self._scheduler.finished:
                self._ring()
                event = self._next_event()
                if isinstance(event, Abort):
                    break
                self._handle(event)
                for at, alarm in self._limits.watch(self._scheduler.running, monotonic):
                    self._alarms.set(at, alarm)
        except BaseException as error:
            self.errands.put(NoteError(error))
        finally:
            self.errands.put(End())

    def _next_event(self) -> Any:
        """Wait for an event; ``None`` if a worker on which steps wait says nothing for too long."""
        with contextlib.suppress(queue.Empty):
            return self._inbox.get_nowait()
        until = self._wait_until()
        if until is None:
            return self._inbox.get()
        try:
            return self._inbox.get(timeout=max(0.0, until - monotonic()))
        except queue.Empty:
            return None

    def _wait_until(self) -> float | None:
        """When to look again though nothing has been said."""
        last_said = [self._last_said.get(each, 0.0) for each in self._scheduler.batches.workers]
        times = [min(last_said) + self.patience] if last_said else []
        if self._alarms.next is not None:
            times.append(self._alarms.next)
        return min(times, default=None)

    def _ring(self) -> None:
        """Handle what is due by now."""
        if self._alarms.next is None:
            return
        for alarm in self._alarms.due(monotonic()):
            match alarm:
                case StepDue(step):
                    self._follow(self._scheduler.step_due(step))
                case TimeIsUp() if self._limits.is_up(alarm):
                    self._pool.end(alarm.worker)

    def _take_back(self) -> None:
        now = monotonic()
        for worker in self._scheduler.batches.workers:
            if now - self._last_said.get(worker, 0.0) >= self.patience:
                self._last_said[worker] = now
                self._follow(self._scheduler.worker_overdue(worker))

    def _handle(self, event: Any) -> None:
        match event:
            case None:
                self._take_back()
            case FromWorker(worker, message):
                self._hear(worker, message)
            case RanHere(step, failed=True):
                decisions = self._scheduler.step_failed(step, may_retry=event.may_retry)
                self._journal.end(PARENT, event, time(), failed=True)
                self.errands.put(NoteFailedHere(step, _outcome(decisions)))
                self._follow(decisions)
            case RanHere(step, outputs, unshareable):
                self._pin_consumers(unshareable)
                self._journal.end(PARENT, event, time())
                self._finish(Finished(step, outputs, event.seconds), {})
            case Answered(worker):
                self._limits.go_on(worker, monotonic)
            case MemorySeen():
                self._journal.see(event, time())
                self._follow(self._scheduler.memory_seen(*event))
            case WorkerGone():
                self._bury(event)

    def _hear(self, worker: int, message: Any) -> None:
        match message:
            case Finished():
                self._last_said[worker] = monotonic()
                self._lost.pop(worker, None)
                self._journal.end(worker, message, time())
                self._finish(message, message.outputs)
            case Returned(steps):
                self._follow(self._scheduler.steps_returned(worker, steps))
            case dict():  # a log record
                self.errands.put(HandleLog(worker, message))
            case Printed():
                self.errands.put(message)
            case HookCall():
                self._limits.pause(worker, monotonic)
                self.errands.put(AnswerHook(worker, message))
            case Failed(step):
                decisions = self._scheduler.step_failed(step, may_retry=message.may_retry)
                self._journal.end(worker, message, time(), failed=True)
                self.errands.put(NoteFailed(message, _outcome(decisions)))
                self._follow(decisions)
            case Ready():
                self._ready.add(worker)
                self._pool.order(worker, self._begin)
                self._follow(self._scheduler.worker_ready(worker))
            case StartFailed(cause, details):
                self._refuse(worker, cause, details)

    def _finish(self, done: Finished, foreign: Mapping[str, DataRef]) -> None:
        self._refs.update(done.outputs)
        for ref in done.outputs.values():
            self._exchange.count(ref)
        self.errands.put(NoteDone(done.step, foreign))
        sizes = {name: ref.size for name, ref in done.outputs.items()}
        self._journal.sizes.update(sizes)
        self._follow(self._scheduler.step_finished(done.step, done.seconds, sizes))

    def _bury(self, gone: WorkerGone) -> None:
        if gone.worker in self._refused:
            return  # it has said why
        placed = self._scheduler.running.get(gone.worker)
        step = None if placed in self._not_begun else placed
        self._not_begun -= {placed, *self._scheduler.batches.of(gone.worker)}
        self._lost[gone.worker] = self._lost.get(gone.worker, 0) + 1 if step is None else 0
        if self._lost[gone.worker] == _MOST_LOST and not self._scheduler.stopping:
            self._give_up_on(gone)
            return
        name = None if step is None else self._plan.steps[step].name
        overdue = self._limits.forget(gone.worker)
        if overdue is not None and overdue == step:
            error: WorkerDied = NodeTimeout(
                name, self._policy.of(step).timeout, gone.pid, gone.frames
            )
        else:
            error = self._death(name, gone)
        self._ready.discard(gone.worker)
        if step is not None:
            self._journal.die(gone.worker, step, time())
        decisions = self._scheduler.worker_gone(
            gone.worker,
            for_memory=error.out_of_memory,
            # What has begun when an overdue step ended after all is not to blame.
            is_blameless=step is None or (overdue is not None and overdue != step),
        )
        self.errands.put(NoteDeath(error, step, None if step is None else _outcome(decisions)))
        self._follow(decisions)

    def _give_up_on(self, gone: WorkerGone) -> None:
        """Workers end again and again though no step is to blame: the next one would, too."""
        if gone.worker in self._ready:
            self.errands.put(NoteError(self._death(None, gone)))
            self._follow(self._scheduler.stop())
            self._follow(self._scheduler.worker_gone(gone.worker))
            return
        cause = (
            f"{_MOST_LOST} processes have ended before they were ready, the last one by "
            f"{describe_exit(gone.exitcode)}"
        )
        self._refuse(gone.worker, cause, gone.frames)

    def _death(self, node: str | None, gone: WorkerGone) -> WorkerDied:
        memory = self._pool.memory(gone.worker)
        killed = gone.exitcode == _KILLED
        return WorkerDied(
            node,
            gone.exitcode,
            gone.pid,
            peak_memory=None if memory is None else memory.peak,
            free_memory=None if memory is None else memory.free,
            out_of_memory=killed and memory is not None and memory.is_likely_cause,
            frames=gone.frames,
            is_starting=gone.worker not in self._ready,
        )

    def _refuse(self, worker: int, cause: str, details: str) -> None:
        if not self._start_has_failed:  # all workers fail alike
            self.errands.put(NoteError(WorkerStartError(self._package, cause, details)))
        self._start_has_failed = True
        self._refused.add(worker)
        self._scheduler.stop()

    def _follow(self, decisions: Iterable[Decision]) -> None:
        orders: dict[int, list[RunStep]] = {}
        for decision in decisions:
            match decision:
                case Start(step, worker) if worker == PARENT:
                    self._journal.order(step, time())
                    self.errands.put(RunHere(step))
                case Start(step, worker, after):
                    orders.setdefault(worker, []).append(self._run_step(step, after))
                case _:
                    self._carry_out(decision)
        for worker, steps in orders.items():
            self._last_said[worker] = monotonic()
            now = time()
            for each in steps:
                self._journal.order(each.step, now)
            if not self._pool.order(worker, RunSteps(tuple(steps))):
                self._not_begun.update(each.step for each in steps)

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case Release(dataset):
                ref = self._refs.pop(dataset, None)
                if ref is not None:
                    self._exchange.release(ref)
                self.errands.put(ReleaseDataset(dataset))
            case TakeBack(worker):
                self._pool.order(worker, Recall())
            case Retry(step, delay):
                self._alarms.set(monotonic() + delay, StepDue(step))
            case Replace(worker):
                self._lost[self._pool.replace()] = self._lost.pop(worker, 0)
            case Hold():
                self.errands.put(NoteHeld(decision))

    def _run_step(self, step: int, after: tuple[int, ...]) -> RunStep:
        inputs = self._plan.steps[step].inputs
        return RunStep(step, {n: self._refs[n] for n in inputs if n in self._refs}, after)

    def _pin_consumers(self, unshareable: frozenset[str]) -> None:
        if unshareable:
            self._scheduler.pin(
                step.index for step in self._plan.steps if not unshareable.isdisjoint(step.inputs)
            )


def _outcome(decisions: Iterable[Decision]) -> Retry | GiveUp:
    return next(each for each in decisions if isinstance(each, (Retry, GiveUp)))
