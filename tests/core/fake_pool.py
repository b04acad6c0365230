"""Workers that are threads, and an inbox that decides whose message comes next.

The dispatcher, the errands and the worker's ``StepRunner`` are the real ones; only processes
are missing. The random generator alone says in which order messages arrive, so that a
failing example can be repeated.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from prunner import ParallelRunner
from prunner.bridge.messages import (
    BeginRun,
    Failed,
    Finished,
    FromWorker,
    Ready,
    Recall,
    Returned,
    RunStep,
    RunSteps,
    WorkerGone,
)
from prunner.dispatcher import Dispatcher
from prunner.events import Abort, RunHere
from prunner.execution import Prepared
from prunner.planning.scheduler import Scheduler
from prunner.process_execution import ProcessExecution
from prunner.processes.orders import STOP, Orders
from prunner.processes.steps import serve_steps
from tests.core.invariants import validate


class NoLogs:
    """These workers log where the test does."""

    def kept(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    node: str | None = None


class FakeWorker:
    """A thread that carries out orders as ``prunner.processes.worker`` does in a process.

    Args:
        number: The worker's number.
        deaths: How many workers each step will end; shared by all of them.
    """

    def __init__(self, number: int, deaths: Counter[int]) -> None:
        self.number = number
        self.orders = Orders(self.send)
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ran: list[int] = []
        self._deaths = deaths
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.said.put(FromWorker(number, Ready()))
        self._thread.start()

    # The worker's end of the link.

    def send(self, message: Any) -> None:
        self.said.put(FromWorker(self.number, message))

    def receive(self) -> Any:
        return self.answers.get()

    # Its orders, of which one may be its end.

    def next(self) -> Any:
        order = self.orders.next()
        if isinstance(order, RunStep):
            if self._deaths[order.step] > 0:
                self._deaths[order.step] -= 1
                self.said.put(WorkerGone(self.number, 4711, -9))
                return STOP
            self.ran.append(order.step)
        return order

    def __getattr__(self, name: str) -> Any:
        return getattr(self.orders, name)

    def join(self) -> None:
        self.orders.take(STOP)
        self._thread.join()

    def _serve(self) -> None:
        serve_steps(self, self, NoLogs(), self)  # type: ignore[arg-type]

    # The process that it is.

    def begin(self, run: BeginRun) -> None:
        """There is nothing to set up."""


class FakePool:
    """Pool and inbox in one.

    Args:
        count: Number of workers.
        random: Chooses whose message comes next.
        deaths: How many workers each step will end.
    """

    def __init__(self, count: int, random: Random, deaths: Mapping[int, int]) -> None:
        self._deaths = Counter(deaths)
        self.workers = [FakeWorker(number, self._deaths) for number in range(count)]
        self.taken_back = 0
        self._random = random
        # What each worker will still say something about.
        self._owed: list[set[Any]] = [{"start"} for _ in range(count)]
        self._parents: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._parents_steps = 0

    # What the dispatcher and the errands take for the pool.

    def order(self, number: int, message: Any) -> bool:
        match message:
            case RunSteps(steps):
                self._owed[number].update(each.step for each in steps)
            case Recall():
                self.taken_back += 1
        self.workers[number].orders.take(message)
        return True

    def answer(self, number: int, message: Any) -> None:
        self.workers[number].answers.put(message)

    def replace(self) -> int:
        self.workers.append(FakeWorker(len(self.workers), self._deaths))
        self._owed.append({"start"})
        return len(self.workers) - 1

    def memory(self, number: int) -> None:
        """Nothing is known of it."""

    def end(self, number: int) -> None:
        raise AssertionError("no step has a limit of time")

    def stop(self) -> None:
        for worker in self.workers:
            worker.join()

    # What the dispatcher and the runner take for the inbox.

    def put(self, event: Any) -> None:
        self._parents.put(event)

    def get_nowait(self) -> Any:
        raise queue.Empty  # the random generator decides all

    def get(self, timeout: float | None = None) -> Any:
        if timeout is not None and self._random.random() < 0.3:
            raise queue.Empty
        sources = [number for number, owed in enumerate(self._owed) if owed]
        if self._parents_steps:
            sources.append(-1)
        if timeout is not None and not sources:
            raise queue.Empty
        assert sources, "the run goes on though nobody will say anything any more"
        source = self._random.choice(sources)
        if source == -1:
            self._parents_steps -= 1
            return self._parents.get()
        event = self.workers[source].said.get()
        match event:
            case FromWorker(message=Ready()):
                self._owed[source].discard("start")
            case FromWorker(message=Finished(step) | Failed(step)):
                self._owed[source].discard(step)
            case FromWorker(message=Returned(steps)):
                self._owed[source].difference_update(steps)
            case WorkerGone():
                self._owed[source].clear()
        return event

    def expect_a_step_here(self) -> None:
        self._parents_steps += 1


class _Errands(queue.SimpleQueue):  # type: ignore[type-arg]
    """The dispatcher's errands, which tell the inbox that the parent will report something."""

    def __init__(self, pool: FakePool) -> None:
        self._pool = pool

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if isinstance(item, RunHere):
            self._pool.expect_a_step_here()
        super().put(item, block, timeout)


class FakeRunner(ParallelRunner):
    """The real runner with fake processes.

    Args:
        max_workers: As of the real one.
        random: Chooses whose message comes next.
        deaths: How many workers each step will end.
        options: Others of the real one.

    Attributes:
        done: The steps that are done after a run, in order.
        ran_there: The steps that ran in workers.
        pinned: The steps that had to run in the parent.
    """

    def __init__(
        self,
        max_workers: int,
        random: Random,
        deaths: Mapping[int, int] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        super().__init__(max_workers, start_method="loky", **options)
        self.random = random
        self.deaths = deaths
        self.done: list[int] = []
        self.ran_there: list[int] = []
        self.pinned: set[int] = set()

    def _execution(self, *args: Any) -> FakeExecution:
        execution = FakeExecution(self._options, *args[:3], run_id=args[3], logger=self._logger)
        execution.runner = self
        return execution


class FakeExecution(ProcessExecution):
    """A run on fake processes, as its runner wants it.

    Attributes:
        runner: The runner, which is told what came of it.
    """

    runner: FakeRunner

    def _execute(self, run: Prepared) -> None:
        # As the real one, step by step.
        plan, errands, exchange, refs = run.plan, run.errands, run.exchange, run.refs
        begin = self._begin(run)
        workers = plan.workers_needed(self._options.max_workers)
        pool = FakePool(workers, self.runner.random, self.runner.deaths)
        scheduler = Scheduler(plan, self._policy)
        dispatcher = Dispatcher(scheduler, pool, exchange, begin, refs=refs, inbox=pool)  # type: ignore[arg-type]
        dispatcher.errands = _Errands(pool)
        dispatcher.patience = 0.0  # whoever is not heard of at once has to give back
        loop = threading.Thread(target=dispatcher.run, args=(workers > 0,), daemon=True)
        loop.start()
        try:
            errands.run(dispatcher.errands, pool, pool.put)
        finally:
            errands.close(dispatcher.errands)
            pool.put(Abort())
            loop.join()
            pool.stop()
        validate(scheduler)
        assert scheduler.finished
        self.runner.done = list(errands.done)
        self.runner.pinned = {step.index for step in plan.steps if step.index in scheduler.pinned}
        self.runner.ran_there = [step for worker in pool.workers for step in worker.ran]
