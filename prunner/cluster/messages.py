"""What the client and the workers of a cluster say to each other about a run.

As in ``bridge.messages``, they hold plain data only: objects of the user's travel as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from prunner.planning.policy import NO_POLICY, StepPolicy

if TYPE_CHECKING:
    from prunner.bridge.failure import Failure
    from prunner.bridge.logs import LogLevels
    from prunner.bridge.messages import HookCall
    from prunner.bridge.phases import StepTimes
    from prunner.cluster.source import Source

# --- from the client to the workers ---------------------------------------------------------


class ClusterRun(NamedTuple):
    """What each worker is told of a run, when it begins or when the worker joins later.

    Attributes:
        token: The run, among all that the cluster has seen.
        topic: Where workers say what happens.
        package: The project's package, ``None`` without a project.
        pipelines: The pipelines that the session asked for, ``None`` for all.
        source: The source of the project.
        catalog: The pickled catalog, without datasets.
        functions: The pickled functions of nodes.
        hooks: Implemented hooks, each with the argument names that some implementation takes.
        worker_hooks: The plugins whose hooks run in the worker, pickled; ``None`` for none.
        is_async: Whether nodes load and save in threads.
        run_id: Kedro's id of the run.
        levels: The levels at which the client logs.
        internal: Datasets that one step of the run saves and another one loads.
    """

    token: str
    topic: str
    package: str | None
    pipelines: tuple[str, ...] | None
    source: Source | None
    catalog: bytes
    functions: tuple[bytes, ...]
    hooks: Mapping[str, frozenset[str]]
    worker_hooks: bytes | None
    is_async: bool
    run_id: str | None
    levels: LogLevels
    internal: frozenset[str]


class StepPart(NamedTuple):
    """What a task knows of its step.

    Attributes:
        step: Which one.
        node: What its ``PackedNode`` consists of.
        datasets: The pickled datasets that it uses, by their names.
        in_memory: Its datasets that live in memory only, each with how it is copied.
        inputs: For each value that the task gets of others: which dataset that is, and where in
            the value it is, ``None`` for all of it.
        literals: In-memory data of the client's, packed.
        outputs: The in-memory datasets that the task hands on.
        policy: The rules for the step when it fails.
    """

    step: int
    node: tuple[int | None, bytes]
    datasets: Mapping[str, bytes]
    in_memory: Mapping[str, str | None]
    inputs: tuple[tuple[str, int | None], ...] = ()
    literals: Mapping[str, bytes] = {}
    outputs: tuple[str, ...] = ()
    policy: StepPolicy = NO_POLICY.default


# --- from a worker to the client ------------------------------------------------------------


class Post(NamedTuple):
    """Messages of one worker process, in their order.

    Attributes:
        sent: When, by the clock of the worker's host.
        messages: Each with the thread that it is about.
    """

    sent: float
    messages: tuple[tuple[int, Any], ...]


class Began(NamedTuple):
    """A try of a step has begun.

    Attributes:
        step: Which one.
        pid: In which process.
        host: On which machine.
    """

    step: int
    pid: int
    host: str


class StepDone(NamedTuple):
    """A step ran to its end.

    Attributes:
        step: Which one.
        seconds: How long it took.
        times: How long its parts took.
        sizes: Bytes of the in-memory datasets that it made, as far as Dask can tell.
    """

    step: int
    seconds: float
    times: StepTimes
    sizes: Mapping[str, int]


class StepFault(NamedTuple):
    """A try of a step raised.

    Attributes:
        step: Which one.
        failure: What it raised.
        phase: What it was doing, to be read after "while".
        seconds: How long it took.
        times: How long its parts took.
        delay: Seconds until it is tried again; ``None`` if it is not.
    """

    step: int
    failure: Failure
    phase: str
    seconds: float
    times: StepTimes
    delay: float | None


class Asked(NamedTuple):
    """A hook is due; the worker waits for the answer.

    Attributes:
        number: Of the question, among those of its process.
        call: The hook.
    """

    number: int
    call: HookCall


class Overdue(NamedTuple):
    """A step takes longer than it may; its process waits for leave to end itself.

    Attributes:
        number: As for ``Asked``.
        step: Which one.
        pid: Id of the process.
        frames: What its thread is doing.
    """

    number: int
    step: int
    pid: int
    frames: str


class Died(NamedTuple):
    """The process that this one takes the place of ended while it ran steps.

    Attributes:
        steps: Which ones.
        pid: Its process id.
        host: Where.
        frames: What ran there in Python when it crashed in native code.
    """

    steps: tuple[int, ...]
    pid: int
    host: str
    frames: str


class Refused(NamedTuple):
    """The project could not be set up in a worker.

    Attributes:
        host: The machine.
        python: Its version of Python.
        cause: Type and message of what was raised.
        details: The worker's traceback.
    """

    host: str
    python: str
    cause: str
    details: str


class StepFailed(Exception):
    """Makes Dask leave out what depends on a step; what went wrong is in a ``StepFault``."""
