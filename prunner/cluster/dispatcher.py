"""The loop of a run on a cluster: what workers say in, tasks and errands out.

Dask decides what runs where and when. This submits the graph, hears what has happened, and has
the calling thread do what belongs there: hooks, log records, steps that stay in the main process.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import threading
from collections.abc import Iterable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

from distributed import KilledWorker
from distributed.utils import TimeoutError as DaskTimeoutError

from prunner.bridge.messages import Failed, Finished
from prunner.bridge.refs import DataRef
from prunner.cluster.events import Due, Fetched, Heard, Settled
from prunner.cluster.exchange import ClusterExchange
from prunner.cluster.faults import Faults, Told, given_up
from prunner.cluster.graph import Graph, Key
from prunner.cluster.messages import (
    Asked,
    Began,
    Died,
    Overdue,
    Post,
    Refused,
    StepDone,
    StepFailed,
    StepFault,
)
from prunner.cluster.state import ClusterDecision, ClusterState, Submit
from prunner.cluster.submission import submit
from prunner.cluster.workers import Workers
from prunner.events import (
    Abort,
    AnswerHook,
    End,
    Errand,
    HandleLog,
    NoteDone,
    NoteError,
    NoteFailed,
    NoteFailedHere,
    RanHere,
    ReleaseDataset,
    RunHere,
)
from prunner.journal import Journal
from prunner.planning.decisions import PARENT, GiveUp, Release, Retry, Start

if TYPE_CHECKING:
    from distributed import Client, Future

_PATIENCE = 1.0  # seconds for a message that may be on its way
_GLANCE = 0.5  # seconds between two looks at what still runs, when nothing more is to start


class ClusterDispatcher:
    """One run.

    Args:
        client: Dask's.
        state: What has happened.
        graph: Makes the tasks.
        exchange: The in-memory data of the run.
        refs: In-memory data of this process.
        token: The run.
        package: The project's package, for errors.
        journal: Where it is noted what happens when.

    Attributes:
        errands: What the calling thread has to do, in order; the last one is an ``End``.
        inbox: Where events arrive.
        workers: The workers of the run, whom the calling thread gives answers.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run, made apart from it
        self,
        client: Client,
        state: ClusterState,
        graph: Graph,
        exchange: ClusterExchange,
        *,
        refs: Mapping[str, DataRef],
        token: str,
        package: str | None,
        journal: Journal,
    ) -> None:
        self.errands: queue.SimpleQueue[Errand] = queue.SimpleQueue()
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.workers = Workers(client, token)
        self._client = client
        self._state = state
        self._graph = graph
        self._exchange = exchange
        self._refs = dict(refs)
        self._journal = journal
        self._journal.sizes.update({name: ref.size for name, ref in refs.items()})
        told = Told(state, journal, self.errands)
        self._faults = Faults(client, self.workers, graph, told, token=token, package=package)
        self._unheard: set[int] = set()  # steps that Dask has done, and of which nobody has said so
        self._has_stopped = False
        self._is_fetching = False
        self._has_fetched = False

    @property
    def is_complete(self) -> bool:
        """True if all steps have ended well."""
        return len(self._state.done) == len(self._state.plan.steps)

    def plugins(self, first: str) -> Iterable[str]:
        """The names of the worker plugins of the run."""
        return [*self._faults.plugins, first]

    # --- in the client's own event loop -------------------------------------------------------

    def hear(self, event: tuple[float, Any]) -> None:
        """Take what Dask hands on of a worker's messages."""
        said = event[1]
        self.inbox.put(Heard(said["worker"], said["post"], time()))

    # --- on the dispatcher's thread -----------------------------------------------------------

    def run(self) -> None:
        """Go on until nothing runs and nothing more will."""
        try:
            self._follow(self._state.begin())
            while not self._is_over():
                event = self._next_event()
                if isinstance(event, Abort):
                    break
                self._handle(event)
                if self._state.stopping:
                    self._stop()
        except BaseException as error:
            self.errands.put(NoteError(error))
        finally:
            self.errands.put(End())

    def _is_over(self) -> bool:
        """True if nothing more will happen; before that, what the caller gets is fetched."""
        if self._state.finished and not self._is_fetching:
            self._is_fetching = True
            self._fetch(None, self._kept())
        return self._has_fetched

    def _next_event(self) -> Any:
        if self._unheard and not self._has_stopped:
            with contextlib.suppress(queue.Empty):
                return self.inbox.get(timeout=_PATIENCE)
            self._infer()
            return None
        if not self._has_stopped:
            return self.inbox.get()
        with contextlib.suppress(queue.Empty):
            return self.inbox.get(timeout=_GLANCE)
        self._look_what_runs()
        return None

    def _handle(self, event: Any) -> None:
        match event:
            case Heard():
                self._hear(event)
            case Settled(key, status) if key in self._exchange.held:
                self._note_settled(key, status)
            case RanHere():
                self._note_ran_here(event)
            case Due() if self._state.stopping:
                self._state.forget([PARENT])
            case Due(step):
                self.errands.put(RunHere(step))
            case Fetched(None, error):
                self._has_fetched = True
                if error is not None:
                    self.errands.put(NoteError(error))
            case Fetched(int() as step, error):
                self._begin_here(step, error)

    def _note_settled(self, key: Key, status: str) -> None:
        """Dask has what a task has made, or says that it never will."""
        match status:
            case "finished":
                step = self._graph.step_of(key)
                if step is not None and self._state.unheard_above(step):
                    self._unheard.add(step)
            case "error" if not self._has_stopped:
                self._follow(self._faults.note_failed_task(key, self._exchange.held[key]))
            case "cancelled" | "lost":
                self._faults.lose(status)

    def _hear(self, heard: Heard) -> None:
        post = Post(*pickle.loads(heard.post))
        self.workers.note_clock(heard.address, post.sent, heard.at)
        for thread, message in post.messages:
            self._take(heard.address, self.workers.number(heard.address, thread), message)

    def _take(self, address: str, worker: int, message: Any) -> None:
        match message:
            case Began(step, pid, host):
                self.workers.note_begin(worker, host, pid)
                self._exchange.runs_at[step] = address
                self._state.step_began(worker, step)
                self._journal.order(step, time())
            case StepDone(step):
                self.workers.note_end(worker, step)
                self._finish(address, worker, message)
            case StepFault(step):
                self.workers.note_end(worker, step)
                self._fail(address, worker, message)
            case dict():  # a log record
                self.errands.put(HandleLog(worker, message))
            case Asked(number, call):
                self.workers.note_question(worker, number)
                self.errands.put(AnswerHook(worker, call))
            case Overdue():
                self._follow(self._faults.end_overdue(address, worker, message))
            case Died():
                self._faults.note_died(message)
            case Refused():
                self._faults.refuse(address, message)

    def _finish(self, address: str, worker: int, done: StepDone) -> None:
        began = self.workers.here(address, done.times.began)
        refs = {name: DataRef(name, None, size) for name, size in done.sizes.items()}
        times = done.times._replace(began=began)
        finished = Finished(done.step, refs, done.seconds, times)
        self._journal.end(worker, finished, time())
        self._journal.sizes.update(done.sizes)
        is_new = done.step not in self._state.done
        for name in done.sizes:
            self._exchange.places[name] = self._graph.places[name]
        decisions = self._state.step_finished(done.step)
        if is_new:
            self.errands.put(NoteDone(done.step, refs))
        self._follow(decisions)

    def _infer(self) -> None:
        """Dask has what a step has made, and nobody says anything more.

        Then a worker has died in the moment between the end of a step and its message.
        """
        unheard, self._unheard = self._unheard, set()
        for last in unheard:
            for step in self._state.unheard_above(last):
                names = self._graph.handed_on(step)
                self._exchange.places.update({n: self._graph.places[n] for n in names})
                decisions = self._state.step_finished(step)
                self.errands.put(NoteDone(step, {n: DataRef(n, None, 0) for n in names}))
                self._follow(decisions)

    def _fail(self, address: str, worker: int, fault: StepFault) -> None:
        failed = Failed(
            step=fault.step,
            failure=fault.failure,
            phase=fault.phase,
            pid=self.workers.pid(worker) or 0,
            seconds=fault.seconds,
            times=fault.times._replace(began=self.workers.here(address, fault.times.began)),
            host=self.workers.host(worker),
        )
        self._journal.end(worker, failed, time(), failed=True)
        if fault.delay is not None:
            self._state.step_retried(fault.step)
            self.errands.put(NoteFailed(failed, Retry(fault.step, fault.delay)))
            return
        decisions = self._state.step_failed(fault.step)
        self.errands.put(NoteFailed(failed, given_up(decisions)))
        self._follow(decisions)

    def _note_ran_here(self, ran: RanHere) -> None:
        self._journal.end(PARENT, ran, time(), failed=ran.failed)
        if ran.failed:
            if ran.may_retry and self._may_retry_here(ran.step):
                return
            decisions = self._state.step_failed(ran.step)
            self.errands.put(NoteFailedHere(ran.step, given_up(decisions)))
            self._follow(decisions)
            return
        plan = self._state.plan
        if ran.unshareable:
            self._state.pin(s.index for s in plan.steps if not ran.unshareable.isdisjoint(s.inputs))
        self._refs.update(ran.outputs)
        self._journal.sizes.update({name: ref.size for name, ref in ran.outputs.items()})
        decisions = self._state.step_finished(ran.step)
        self.errands.put(NoteDone(ran.step, {}))
        self._exchange.no_longer_wanted({ran.step})
        self._follow(decisions)

    def _may_retry_here(self, step: int) -> bool:
        """Try a step of the main process again, if its policy says so."""
        policy = self._graph.policy_of(step)
        tries = len(self._journal.attempts.get(step, ()))
        if tries > policy.retries:
            return False
        delay = policy.delay(tries)
        self.errands.put(NoteFailedHere(step, Retry(step, delay)))
        timer = threading.Timer(delay, self.inbox.put, (Due(step),))
        timer.daemon = True
        timer.start()
        return True

    # --- decisions ----------------------------------------------------------------------------

    def _follow(self, decisions: Iterable[ClusterDecision]) -> None:
        for decision in decisions:
            match decision:
                case Submit(batch):
                    self._submit(batch)
                case Start(step):
                    inputs = dict.fromkeys(self._state.plan.steps[step].inputs)
                    self._fetch(step, [name for name in inputs if name in self._exchange.places])
                case Release(dataset):
                    self._refs.pop(dataset, None)
                    self._exchange.forget(dataset)
                    self.errands.put(ReleaseDataset(dataset))
                case GiveUp(_, skipped):
                    self._exchange.no_longer_wanted(set(skipped))

    def _fetch(self, step: int | None, names: Iterable[str]) -> None:
        """Have data here before the calling thread asks for it.

        That thread answers hooks, and must wait for nothing: Dask may have to run nodes again.
        """
        missing = [name for name in names if not self._exchange.has(name)]
        if not missing:
            self.inbox.put(Fetched(step, None))
            return

        # What is lost is made again, but not where the run stops.
        patience = _PATIENCE if self._state.stopping else None

        def fetch() -> None:
            error = None
            try:
                self._exchange.fetch(missing, patience)
            except (StepFailed, KilledWorker) as caught:  # which are told of as such
                error = None if step is None else caught
            except BaseException as caught:
                error = caught
            self.inbox.put(Fetched(step, error))

        threading.Thread(target=fetch, name="prunner-fetch", daemon=True).start()

    def _begin_here(self, step: int, error: BaseException | None) -> None:
        if self._state.stopping:
            self._state.forget([PARENT])
        elif error is None:
            self._journal.order(step, time())
            self.errands.put(RunHere(step))
        else:
            if not isinstance(error, (StepFailed, KilledWorker)):  # which are told of as such
                self.errands.put(NoteError(error))
            self._follow(self._state.step_failed(step))

    def _kept(self) -> list[str]:
        """The in-memory data that the caller gets, as far as it is there."""
        plan, exchange = self._state.plan, self._exchange
        kept = [n for n in plan.kept_outputs & plan.in_memory if n in exchange.places]
        if self.is_complete:
            return kept
        # A step says that it is done a moment before Dask has what it made.
        held = {name: exchange.held.get(exchange.places[name].key) for name in kept}
        return [n for n, f in held.items() if f is not None and f.status in ("finished", "pending")]

    def _submit(self, batch: tuple[int, ...]) -> None:
        before = self._state.submitted | self._state.done
        made = self._graph.batch(batch, self._refs, self._exchange.held, before)
        for key, future in submit(self._client, made).items():
            self._exchange.hold(key, future, made.wanted[key])
            future.add_done_callback(self._note_end)
        self._exchange.no_longer_wanted(set(batch))

    def _note_end(self, future: Future) -> None:
        self.inbox.put(Settled(future.key, future.status))

    # --- the end ------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Let no other step begin, and nothing be made that nobody will ask for."""
        if self._has_stopped:
            return
        self._has_stopped = True
        self._look_what_runs()
        # Not cancel(): Dask's scheduler lets go of a client that cancels what tasks depend on which
        # nobody waits for.
        running = set(self._state.running.values())
        self._exchange.drop(
            key
            for key, future in list(self._exchange.held.items())
            if future.status != "finished" and self._graph.step_of(key) not in running
        )

    def _look_what_runs(self) -> None:
        """Of what ran when it was heard of last, some workers may be gone."""
        with contextlib.suppress(OSError, DaskTimeoutError):
            for worker, step in self.workers.running().items():
                self._state.step_began(worker, step)
            there = self.workers.addresses()
            gone = {w for w in self._state.running if w >= 0}
            self._state.forget(w for w in gone if self.workers.address(w) not in there)
