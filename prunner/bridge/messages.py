"""What a worker and the parent say to each other, one small class for each meaning.

Messages hold plain data only: an object of the user's travels as bytes, made and tested
where it is known (``data``, ``failure``), so that no message can fail to be unpickled. Those that
are sent for every step are plain tuples on the wire (``to_wire``): whatever has a class of its own
takes ten times as long to be pickled. A log record is a mere dict of its attributes (``records``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from prunner.bridge.phases import StepTimes
from prunner.bridge.refs import DataRef
from prunner.planning.policy import NO_POLICY, RunPolicy

if TYPE_CHECKING:
    from prunner.bridge.failure import Failure
    from prunner.bridge.logs import LogLevels

_FINISHED, _RUN_STEPS = range(2)  # on the wire

# --- from the parent to a worker ------------------------------------------------------------


class BeginRun(NamedTuple):
    """A run begins; sent once, before its first step.

    Attributes:
        folders: Where the run's data files are, the preferred folder first.
        book: The nodes, datasets and catalog of the run (``processes.book``).
        hooks: Implemented hooks, each with the argument names that some implementation takes.
        worker_hooks: The plugins whose hooks run in the worker, pickled; None where there are none.
        is_async: Whether nodes load and save in threads.
        run_id: Kedro's id of the run.
        set_up: What is set up anew for each run.
        policy: The rules for steps that fail.
        is_timed: Whether it is to be said how long the parts of each step took.
    """

    folders: tuple[str, ...]
    book: DataRef
    hooks: Mapping[str, frozenset[str]]
    is_async: bool
    run_id: str | None
    worker_hooks: bytes | None = None
    set_up: RunSetup | None = None
    policy: RunPolicy = NO_POLICY
    is_timed: bool = False


class RunSetup(NamedTuple):
    """What a worker that stays for several runs is told anew for each.

    Attributes:
        levels: The levels at which the parent logs.
        pipelines: The pipelines that the session asked for, ``None`` for all.
        threads: How many threads each numeric library may use.
        sends_prints: Whether what nodes print is sent to the parent.
    """

    levels: LogLevels
    pipelines: tuple[str, ...] | None
    threads: int
    sends_prints: bool = False


@dataclass(frozen=True)
class EndRun:
    """The run is over: forget it, and say when that is done (``Ready``)."""


class RunStep(NamedTuple):
    """Run one step.

    Attributes:
        step: Which one.
        inputs: The in-memory datasets that it loads, as far as the parent knows them.
        after: Parents that this worker was told to run before, and that the parent does not know
            to have finished: what they make is loaded too.
    """

    step: int
    inputs: Mapping[str, DataRef]
    after: tuple[int, ...] = ()


class RunSteps(NamedTuple):
    """Run steps one after the other."""

    steps: tuple[RunStep, ...]

    def to_wire(self) -> tuple[Any, ...]:
        """The message as a plain tuple."""
        return _RUN_STEPS, *((step, _plain(inputs), after) for step, inputs, after in self.steps)


@dataclass(frozen=True)
class Recall:
    """Give back all steps that have not begun; the answer is ``Returned``."""


@dataclass(frozen=True)
class WriteStacks:
    """Write what all threads are doing: the worker is to be ended."""


class HookReply(NamedTuple):
    """The answer to a ``HookCall``: a result or the exception that a hook raised."""

    result: DataRef | None = None
    failure: Failure | None = None


# --- from a worker to the parent ------------------------------------------------------------


class Ready(NamedTuple):
    """The worker can begin a run: the project is set up, or the former run is over.

    Attributes:
        files: The files of modules imported since the last time, each with time of the last
            change (ns) and size (bytes), or ``None`` where it may have changed meanwhile.
        clean: Whether no thread and no process of a node is left.
    """

    files: Mapping[str, tuple[int, int] | None] = {}
    clean: bool = True


class StartFailed(NamedTuple):
    """The project could not be set up in the worker.

    Attributes:
        cause: Type and message of what was raised.
        details: The worker's traceback.
    """

    cause: str
    details: str


class Finished(NamedTuple):
    """A step ran to its end.

    Attributes:
        step: Which one.
        outputs: The in-memory datasets that it saved.
        seconds: How long it took, with loading, saving and hooks.
        times: How long its parts took, where that was asked for.
    """

    step: int
    outputs: Mapping[str, DataRef]
    seconds: float
    times: StepTimes | None = None

    def to_wire(self) -> tuple[Any, ...]:
        """The message as a plain tuple."""
        times = None if self.times is None else tuple(self.times)
        return _FINISHED, self.step, _plain(self.outputs), self.seconds, times


class Returned(NamedTuple):
    """These steps have not begun, and will not unless they are sent again."""

    steps: tuple[int, ...]


class Failed(NamedTuple):
    """A step raised.

    Attributes:
        step: Which one.
        failure: What it raised.
        phase: What it was doing, to be read after "while".
        pid: Id of the worker process.
        saved: The in-memory datasets that it had saved.
        may_retry: Whether the step may be tried again after that.
        seconds: How long it took.
        times: How long its parts took.
        host: The machine of the worker, if that is another one.
    """

    step: int
    failure: Failure
    phase: str
    pid: int
    saved: Mapping[str, DataRef] = {}
    may_retry: bool = False
    seconds: float | None = None
    times: StepTimes | None = None
    host: str = ""


class Printed(NamedTuple):
    """A node has printed something.

    Attributes:
        stream: Where to: ``stdout`` or ``stderr``.
        text: Whole lines.
    """

    stream: str
    text: str


class HookCall(NamedTuple):
    """A hook is due; the worker waits for the ``HookReply``.

    Attributes:
        step: The step that the hook is about.
        hook: Name of the hook.
        plain: Arguments that are strings.
        data: The argument ``data``, under its own name, and what ``inputs`` and ``outputs`` hold,
            under the names of these and of the dataset.
        error: The exception, for ``on_node_error``.
        saved: The in-memory datasets that the step has saved so far.
    """

    step: int
    hook: str
    plain: Mapping[str, str]
    data: Mapping[tuple[str, ...], DataRef] = {}
    error: Failure | None = None
    saved: Mapping[str, DataRef] = {}


# --- from the pool to the dispatcher --------------------------------------------------------


class FromWorker(NamedTuple):
    """A message together with the number of the worker that sent it."""

    worker: int
    message: Any


class MemorySeen(NamedTuple):
    """Somebody has looked at memory.

    Attributes:
        free: Bytes that processes can still get.
        total: Bytes that there are at all.
        used: Bytes that each worker has for itself alone, by its number.
    """

    free: int
    total: int
    used: Mapping[int, int]


class WorkerGone(NamedTuple):
    """A worker process ended without having been asked to.

    Attributes:
        worker: Its number.
        pid: Its process id.
        exitcode: Its exit code, the negative signal number on POSIX.
        frames: What ran there in Python when it crashed in native code.
    """

    worker: int
    pid: int | None
    exitcode: int | None
    frames: str = ""


# --- on the wire ----------------------------------------------------------------------------


def from_wire(wire: tuple[Any, ...]) -> Finished | RunSteps:
    """The message of which its ``to_wire`` has made a plain tuple."""
    kind, *fields = wire
    if kind == _FINISHED:
        step, outputs, seconds, times = fields
        whole = None if times is None else StepTimes(*times)
        return Finished(step, _refs(outputs), seconds, whole)
    return RunSteps(tuple(RunStep(step, _refs(inputs), after) for step, inputs, after in fields))


def _plain(refs: Mapping[str, DataRef]) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(ref) for name, ref in refs.items()}


def _refs(plain: Mapping[str, tuple[Any, ...]]) -> dict[str, DataRef]:
    return {name: DataRef(*ref) for name, ref in plain.items()}
