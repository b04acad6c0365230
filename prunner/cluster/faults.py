"""What goes wrong on a cluster but in the code of nodes, and what follows.

Workers that die or are ended since a node took too long, a project that cannot be set up in one, a
scheduler that is gone, tasks that Dask gives up on. Called on the dispatcher's thread.
"""

from __future__ import annotations

import platform
import queue
from collections import Counter
from collections.abc import Iterable
from time import time
from typing import TYPE_CHECKING, NamedTuple

from distributed import KilledWorker

from prunner.cluster.deaths import Deaths
from prunner.cluster.graph import Graph, Key
from prunner.cluster.messages import Died, Overdue, Refused, StepFailed
from prunner.cluster.plugin import GiveUpPlugin
from prunner.cluster.state import ClusterDecision, ClusterState
from prunner.cluster.workers import NOBODY, Workers
from prunner.errors import ClusterError, NodeTimeout, WorkerDied, WorkerStartError
from prunner.events import Errand, NoteDeath, NoteError
from prunner.journal import Journal
from prunner.planning.decisions import GiveUp, Retry

if TYPE_CHECKING:
    from distributed import Client, Future

_PATIENCE = 10.0  # seconds for Dask to say why a task has failed


class Told(NamedTuple):
    """Where faults are written down.

    Attributes:
        state: What has happened to steps.
        journal: When.
        errands: What the calling thread is told.
    """

    state: ClusterState
    journal: Journal
    errands: queue.SimpleQueue[Errand]


class Faults:
    """The faults of one run.

    Args:
        client: Dask's.
        workers: Its workers.
        graph: Knows which task is which step.
        told: Where they are written down.
        token: The run.
        package: The project's package.

    Attributes:
        plugins: Names of the worker plugins that were registered because of faults.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run, made apart from it
        self,
        client: Client,
        workers: Workers,
        graph: Graph,
        told: Told,
        *,
        token: str,
        package: str | None,
    ) -> None:
        self.plugins: list[str] = []
        self._client = client
        self._workers = workers
        self._graph = graph
        self._state, self._journal, self._errands = told
        self._token = token
        self._package = package
        self._deaths = Deaths()
        self._overdue: Counter[int] = Counter()  # tries that took too long, by step

    def end_overdue(self, address: str, worker: int, overdue: Overdue) -> list[ClusterDecision]:
        """Let a process end that works on a step for too long; Dask starts another one."""
        step = overdue.step
        policy = self._graph.policy_of(step)
        error = NodeTimeout(
            self._name(step),
            policy.timeout,
            overdue.pid,
            overdue.frames,
            host=self._workers.host(worker),
        )
        self._overdue[step] += 1
        self._journal.die(worker, step, time())
        decisions: list[ClusterDecision] = []
        if self._overdue[step] <= policy.retries and not self._state.stopping:
            self._state.step_retried(step)
            self._errands.put(NoteDeath(error, step, Retry(step, 0.0)))
        else:
            decisions = self._state.step_failed(step)
            self._errands.put(NoteDeath(error, step, given_up(decisions)))
            # Before the process ends: Dask would run it again.
            plugin = GiveUpPlugin(self._token, step)
            self._client.register_plugin(plugin, name=plugin.name)
            self.plugins.append(plugin.name)
        self._workers.reply(address, overdue.number, None)
        return decisions

    def refuse(self, address: str, refused: Refused) -> None:
        """The project could not be set up in a worker that joined later."""
        if not self._state.stopping:
            self._errands.put(NoteError(refusal(self._package, address, refused)))
            self._state.stop()

    def note_died(self, died: Died) -> None:
        """A process has ended; Dask does again what ran there, unless it gives up on it."""
        self._deaths.note(died)
        for step in died.steps:
            if step in self._state.failed or self._overdue[step]:
                continue  # it is known why
            worker = self._worker_of(step)
            if self._workers.pid(worker) == died.pid:  # and not elsewhere by now
                self._journal.die(worker, step, time())
                self._state.step_retried(step)
            error = self._death(step, died.pid, died.host, self._deaths.count(step), died.frames)
            self._errands.put(NoteDeath(error, step, Retry(step, 0.0)))

    def note_failed_task(self, key: Key, future: Future) -> list[ClusterDecision]:
        """A task has failed; what nobody has told of by then is Dask's to tell."""
        error = future.exception(timeout=_PATIENCE)
        if isinstance(error, StepFailed) and self._is_known(error.args[0]):
            return []
        if isinstance(error, KilledWorker):
            return self._note_killed(future, error)
        step = self._graph.step_of(key)
        if step in self._state.failed or step in self._state.skipped:
            return []
        what = "a task" if step is None else f"node '{self._name(step)}'"
        told = ClusterError(
            f"Dask could not run {what}, or what it depends on: {type(error).__name__}: {error}"
        )
        told.__cause__ = error
        self._errands.put(NoteError(told))
        if step is None:
            self._state.stop()
            return []
        return self._state.step_failed(step)

    def _is_known(self, step: int) -> bool:
        return self._state.stopping or step in self._state.failed | self._state.skipped

    def lose(self, status: str) -> None:
        """What this process waits for will never come."""
        if self._state.stopping:
            return
        address = self._client.scheduler.address if self._client.scheduler else "?"
        self._errands.put(
            NoteError(
                ClusterError(
                    f"Dask's scheduler at {address} has ended or cannot be reached any more, or "
                    f"somebody has cancelled the run there ({status}). Nodes that still run may go "
                    "on to their end."
                )
            )
        )
        self._state.stop()
        self._state.running.clear()

    def _note_killed(self, future: Future, killed: KilledWorker) -> list[ClusterDecision]:
        """Dask has given up on a task, since each worker has ended that was given it."""
        step = self._graph.step_of(killed.task)
        if step is None or step in self._state.failed:
            return []
        if self._deaths.is_innocent(step):
            # It waited on these workers behind another one, which has ended them.
            self._client.retry([future])
            return []
        known, worker = self._deaths.of(step), self._worker_of(step)
        error = self._death(
            step,
            self._workers.pid(worker) or (None if known is None else known.pid),
            self._workers.host_at(killed.last_worker.address),
            killed.allowed_failures + 1,
            "" if known is None else known.frames,
        )
        self._journal.die(worker, step, time())
        decisions = self._state.step_failed(step)
        self._errands.put(NoteDeath(error, step, given_up(decisions)))
        return decisions

    def _death(self, step: int, pid: int | None, host: str, deaths: int, frames: str) -> WorkerDied:
        return WorkerDied(self._name(step), None, pid, frames=frames, host=host, deaths=deaths)

    def _worker_of(self, step: int) -> int:
        """Where a step ran when it was heard of last."""
        return next((w for w, s in self._state.running.items() if s == step), NOBODY)

    def _name(self, step: int) -> str:
        return self._state.plan.steps[step].name


def refusal(package: str | None, address: str, refused: Refused) -> WorkerStartError:
    """Why no node can run in a worker."""
    return WorkerStartError(
        package,
        f"{refused.cause} (worker {address} on host {refused.host}, Python {refused.python}; "
        f"Python {platform.python_version()} here)",
        refused.details,
    )


def given_up(decisions: Iterable[ClusterDecision]) -> GiveUp:
    """Which of these decisions says that a step has failed."""
    return next(each for each in decisions if isinstance(each, GiveUp))
