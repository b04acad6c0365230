"""What the tasks of a run do in the workers of a cluster, and what the client asks of these."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from distributed import get_worker, rejoin, secede
from kedro.io import MemoryDataset

from prunner import kedro_internals
from prunner.bridge.packing import pack
from prunner.bridge.worker_hooks import local_hook_manager
from prunner.cluster import recorder
from prunner.cluster.attempt import Attempt
from prunner.cluster.lending import Lending
from prunner.cluster.marks import marks_of
from prunner.cluster.messages import (
    Began,
    ClusterRun,
    Died,
    Refused,
    StepFailed,
    StepFault,
    StepPart,
)
from prunner.cluster.outbox import Outbox
from prunner.cluster.parcel import Parcel, opened
from prunner.cluster.plugin import given_up
from prunner.cluster.questions import Questions
from prunner.cluster.setting_up import slot
from prunner.errors import DataTransferError
from prunner.processes.book import unpickled

if TYPE_CHECKING:
    from distributed import Worker

HOST = socket.gethostname()
_WANTED = ("executing", "long-running")  # states of a task that runs, and is waited for
_HANDED_OVER = 1.0  # seconds after which Dask surely holds what a step has made

# Those that this process knows of, by their token and the address of the worker: a process may have
# several.
runs: dict[tuple[str, str], WorkerRun] = {}


def run_step(token: str, packed: bytes, *values: Any) -> Any:
    """What a task does: run a step of a run.

    Args:
        token: The run.
        packed: The pickled ``StepPart``.
        values: What it gets of other tasks.

    Returns:
        The in-memory data that it hands on.

    Raises:
        StepFailed: If the step has failed; the client knows why.
    """
    part = StepPart(*pickle.loads(packed))
    run = runs.get((token, get_worker().address))
    if run is None:  # it has ended
        raise StepFailed(part.step)
    return run.run(part, values)


def unpack_data(packed: bytes) -> Parcel:
    """What a task does that stands for in-memory data of the client's."""
    return Parcel(opened(packed))


class WorkerRun:
    """One run, in one worker process.

    Args:
        told: What the client said of it.
        worker: Dask's.
        is_inside: Whether this is the client's own process.
    """

    def __init__(self, told: ClusterRun, worker: Worker, is_inside: bool) -> None:
        self.told = told
        self.outbox = Outbox(worker, told.topic)
        self.questions = Questions(self.outbox, self.is_over)
        self.lending = Lending(worker.address)
        self.running: dict[int, int] = {}  # steps by their thread
        self._keys: dict[int, Any] = {}  # Dask's of their tasks, by the same
        self.saved: dict[tuple[int, str], MemoryDataset] = {}  # by steps that still run
        self.ended = threading.Event()  # nobody wants to hear of the run any more
        self.stopping = threading.Event()  # no other step is to begin
        self.refused: Refused | None = None
        self.saved_here: set[str] = set()
        self.datasets: dict[str, Any] = {}
        self._worker = worker
        self._marks = marks_of(worker)
        self._is_inside = is_inside
        self._functions: dict[int, Callable[..., Any]] = {}
        self._catalog: Any = None
        self._hooks: Any = None

    def tell_of_death(self) -> None:
        """Say which steps ran in the process that this one takes the place of."""
        left = self._marks.left
        steps = [] if left is None else [s for token, s in left.steps if token == self.told.token]
        if left is not None and steps:
            self.outbox.add(Died(tuple(steps), left.pid, HOST, left.frames))
            self.outbox.flush()

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """Within this context the process is set up for the run's project."""
        if self._is_inside:
            yield
            return
        told = self.told
        with slot.held(told.package, told.source, told.pipelines, self._worker.local_directory):
            recorder.apply(told.levels)
            yield

    def try_to_set_up(self) -> None:
        """Set up the project; what goes wrong is in ``refused``."""
        with ExitStack() as stack:
            self._enter(stack)

    def _enter(self, stack: ExitStack) -> bool:
        """Set up the process until the end of a stack; False if that is not possible."""
        try:
            stack.enter_context(self.set_up())
        except BaseException as error:
            cause, details = f"{type(error).__name__}: {error}", traceback.format_exc()
            self.refused = Refused(HOST, sys.version.split()[0], cause, details)
            return False
        self.refused = None
        return True

    def run(self, part: StepPart, values: Sequence[Any]) -> Any:
        """Run a step, again and again if its policy says so."""
        self._keys[threading.get_ident()] = get_worker().get_current_task()
        try:
            return self._run(part, values)
        finally:
            del self._keys[threading.get_ident()]

    def _run(self, part: StepPart, values: Sequence[Any]) -> Any:
        tries = 0
        while not self._is_given_up(part.step):
            tries += 1
            result, fault = self._try(part, values, tries)
            if fault is None:
                return result
            if fault.delay is None:
                break
            self._wait(fault.delay)
        raise StepFailed(part.step)

    def _try(self, part: StepPart, values: Sequence[Any], tries: int) -> Any:
        """Try a step once; its result, and what went wrong."""
        with ExitStack() as stack:
            if not self._enter(stack):
                self.outbox.add(self.refused)
                self.outbox.flush()
                raise StepFailed(part.step)
            thread = threading.get_ident()
            self.running[thread] = part.step
            self._marks.begin(self.told.token, part.step)
            self.outbox.add(Began(part.step, os.getpid(), HOST))
            attempt = Attempt(self, part)
            try:
                answer = attempt.run(values, tries)
                # Before the task's own end: the client hears of things in their order.
                self.outbox.add(answer)
                if isinstance(answer, StepFault):
                    self.outbox.flush()
                else:
                    self.outbox.flush_unless_busy()
            finally:
                self._marks.end()
                del self.running[thread]
            if isinstance(answer, StepFault):
                return None, answer
            return attempt.result(), None

    def _wait(self, seconds: float) -> None:
        """Wait before the next try; other tasks may run on this thread's place meanwhile."""
        if seconds:
            secede()
            self.stopping.wait(seconds)
            rejoin()

    def _is_given_up(self, step: int) -> bool:
        return self.stopping.is_set() or (self.told.token, step) in given_up

    def is_over(self, thread: int) -> bool:
        """True if nobody waits any more for the step that a thread runs."""
        if self.ended.is_set() or self._worker.status.name in ("closed", "closing", "failed"):
            return True
        if self.stopping.is_set() or thread not in self._keys:
            return False  # the client waits for those that run, though Dask does not
        task = self._worker.state.tasks.get(self._keys[thread])
        return task is None or task.state not in _WANTED

    def function(self, number: int) -> Callable[..., Any]:
        """A function of the run's nodes."""
        if number not in self._functions:
            self._functions[number] = unpickled("the node", self.told.functions[number])
        return self._functions[number]

    def catalog(self) -> Any:
        """A catalog without datasets, for one step."""
        if self._catalog is None:
            self._catalog = unpickled("the catalog", self.told.catalog)
        return kedro_internals.without_datasets(self._catalog)

    def local_hooks(self) -> Any:
        """The hook manager with the hooks that run in workers; ``None`` without any."""
        if self._hooks is None and self.told.worker_hooks is not None:
            plugins = unpickled("the hooks of workers", self.told.worker_hooks)
            self._hooks = local_hook_manager(plugins)
        return self._hooks

    @contextmanager
    def logs_of(self, node: str) -> Iterator[None]:
        """Within this context records of this thread are sent to the client."""
        if self._is_inside:  # they are in its handlers' hands already
            yield
            return
        recorder.node_logs.begin(node, self.told.levels, self.outbox)
        try:
            yield
        finally:
            recorder.node_logs.end()

    def forget_saved(self, part: StepPart) -> None:
        """A step has ended: Dask has its data soon, and until then the client may ask for it."""
        keys = [(part.step, name) for name in part.in_memory]
        delay = _HANDED_OVER if self.told.hooks else 0.0

        def forget() -> None:
            for key in keys:
                self.saved.pop(key, None)

        if not delay:
            forget()
        elif keys:
            loop = self._worker.loop
            loop.add_callback(loop.call_later, delay, forget)

    def lend(self, path: str, step: int | None) -> bytes | str | None:
        """For the client: an object that a hook asks for, or a dataset of a step that runs."""
        if step is None:
            return self.lending.packed(path)
        dataset = self.saved.get((step, path))
        if dataset is None:
            return None
        try:
            return b"".join(pack(kedro_internals.memory_value(dataset))[0])
        except DataTransferError as error:
            return str(error)


# --- what the client calls in a worker --------------------------------------------------------


def run_of(token: str, worker: Worker) -> WorkerRun | None:
    """A run as a worker knows it; ``None`` if it does not."""
    return runs.get((token, worker.address))


def refusal_of(token: str, dask_worker: Worker) -> Refused | None:
    """Why the project could not be set up here, ``None`` if it could."""
    run = run_of(token, dask_worker)
    return None if run is None else run.refused


def answer(token: str, number: int, reply: Any, dask_worker: Worker) -> None:
    """Answer a question of this worker."""
    run = run_of(token, dask_worker)
    if run is not None:
        run.questions.answer(number, reply)


def lend(token: str, path: str, step: int | None, dask_worker: Worker) -> bytes | str | None:
    """An object of a step that runs, for a hook."""
    run = run_of(token, dask_worker)
    return None if run is None else run.lend(path, step)


def fetch(key: Any, position: int | None, dask_worker: Worker) -> bytes | str | None:
    """What Dask holds here, for a hook."""
    if key not in dask_worker.data:
        return None
    value = dask_worker.data[key]
    parcel: Parcel = value if position is None else value[position]
    try:
        return b"".join(parcel.packed())
    except DataTransferError as error:
        return str(error)


def stop(token: str, dask_worker: Worker) -> tuple[tuple[int, int], ...]:
    """Let no other step begin; those that run, each behind its thread."""
    run = run_of(token, dask_worker)
    if run is None:
        return ()
    run.stopping.set()
    return tuple(run.running.items())


def leave(token: str, dask_worker: Worker) -> None:
    """Let nothing of the run be saved any more, and nobody wait for an answer."""
    run = run_of(token, dask_worker)
    if run is not None:
        run.stopping.set()
        run.ended.set()
