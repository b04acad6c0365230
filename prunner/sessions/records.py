"""What is known of a session, a run and its nodes. Plain values only: nothing here does I/O.

All times are seconds since the epoch (UTC), all durations seconds, all sizes bytes. Nobody
changes a record; those of nodes are not frozen only because that makes each take three times as
long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(str, Enum):
    """How a session, a run or a node has ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # by Ctrl-C or SIGTERM
    RUNNING = "running"
    LOST = "lost"  # its process is gone, and nobody has said how it ended
    SKIPPED = "skipped"  # nodes: one that it depends on had failed
    NOT_RUN = "not run"  # nodes: the run had ended before

    def __str__(self) -> str:
        return self.value


@dataclass(slots=True)
class Transfer:
    """A dataset that a node has loaded or saved.

    Attributes:
        dataset: Its name.
        began: When.
        seconds: How long it took, without hooks; all chunks together where it was saved in chunks.
        size: Bytes of data; ``None`` where that is not known (a remote or a database's dataset).
    """

    dataset: str
    began: float
    seconds: float
    size: int | None = None


@dataclass(slots=True)
class Try:
    """A try of a node that did not end well, and was followed by another one.

    Attributes:
        worker: The number of the worker; -1 for the main process.
        started: When it began.
        ended: When it ended.
        error: Type and message of what it ended with.
    """

    worker: int
    started: float
    ended: float
    error: str


@dataclass(slots=True, kw_only=True)
class NodeRecord:
    """What is known of one node of a run.

    Attributes:
        step: Its place in the order of the pipeline, from 0.
        name: Its name.
        function: Module and qualified name of its function.
        source: A digest of the function's code; empty where there is none.
        parents: The steps that it depends on.
        outcome: How it ended.
        worker: The number of the worker where it ran last; -1 for the main process, ``None`` if it
            did not run.
        host: The machine where that worker is, if it is not that of the run.
        pid: Id of that process.
        queued: When all that it depends on was there (or the run began).
        started: When its last try began.
        ended: When that ended.
        loads: The datasets that it loaded, in order.
        run_seconds: How long its function ran, without loading, saving and hooks; ``None`` if it
            did not come to its end.
        saves: The datasets that it saved, in order.
        peak_memory: By how much the memory of its worker grew meanwhile, at most, and its in-memory
            outputs; ``None`` if nobody looked (it is looked at ten times a second).
        tries: Earlier tries that failed.
        error: Type and message of what it ended with, if it failed.
        pinned: Why it had to run in the main process, if it had to.
    """

    step: int
    name: str
    function: str = ""
    source: str = ""
    parents: tuple[int, ...] = ()
    outcome: Outcome = Outcome.NOT_RUN
    worker: int | None = None
    host: str | None = None
    pid: int | None = None
    queued: float | None = None
    started: float | None = None
    ended: float | None = None
    loads: tuple[Transfer, ...] = ()
    run_seconds: float | None = None
    saves: tuple[Transfer, ...] = ()
    peak_memory: int | None = None
    tries: tuple[Try, ...] = ()
    error: str | None = None
    pinned: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long its last try took, with everything; ``None`` if it did not run."""
        if self.started is None or self.ended is None:
            return None
        return self.ended - self.started

    @property
    def load_seconds(self) -> float:
        """How long it loaded."""
        return sum(each.seconds for each in self.loads)

    @property
    def save_seconds(self) -> float:
        """How long it saved."""
        return sum(each.seconds for each in self.saves)

    @property
    def bytes_in(self) -> int:
        """How much it loaded, as far as that is known."""
        return sum(each.size or 0 for each in self.loads)

    @property
    def bytes_out(self) -> int:
        """How much it saved, as far as that is known."""
        return sum(each.size or 0 for each in self.saves)


@dataclass(frozen=True, slots=True)
class MemorySample:
    """What somebody saw who looked at memory during a run.

    Attributes:
        at: When.
        free: What processes could still get.
        used: What each worker had for itself, by its number.
    """

    at: float
    free: int
    used: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is known of one run.

    Attributes:
        key: What it is found by: its run id, or that with ``~2`` and so on if it is not the first.
        run_id: Kedro's id of the run.
        session: The key of its session.
        parameters: What Kedro told hooks of the run (``run_params``): pipeline names, filters,
            runtime parameters and so on, secrets replaced.
        runner: Class path of the runner, such as ``prunner.ParallelRunner``.
        options: The runner's options that differ from their defaults, where it is prunner's.
        outcome: How it ended.
        error: ``type``, ``value`` and ``traceback`` (text) of what it ended with.
        started: When it began.
        ended: When it ended.
        host: Name of the machine.
        pid: Id of its process.
        pid_created: When that was created, as the system tells it: ids are used again.
        cpus: How many CPUs that process might use.
        memory_total: All the memory that there was for it; ``None`` where nobody looked.
        start_method: How workers were started; ``None`` for other runners than prunner's.
        pids: The processes of workers, by their number.
        hosts: The machines of those workers that are on another one than ``host``, by their number.
        nodes: Its nodes in the order of the pipeline; empty for other runners than prunner's.
        memory: What was seen of memory, at most some hundred times.
        resume: The arguments of ``kedro run`` with which Kedro would resume it, if it did not
            complete and something is to be gained by it: ``{"from_nodes": [...]}``.
    """

    key: str
    run_id: str
    session: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    runner: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome = Outcome.RUNNING
    error: Mapping[str, Any] | None = None
    started: float = 0.0
    ended: float | None = None
    host: str = ""
    pid: int = 0
    pid_created: int = 0
    cpus: int = 1
    memory_total: int | None = None
    start_method: str | None = None
    pids: Mapping[int, int] = field(default_factory=dict)
    hosts: Mapping[int, str] = field(default_factory=dict)
    nodes: tuple[NodeRecord, ...] = ()
    memory: tuple[MemorySample, ...] = ()
    resume: Mapping[str, Any] | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; ``None`` if its end is not known."""
        return None if self.ended is None else self.ended - self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """What is known of one session.

    Attributes:
        key: What it is found by: its session id, or that with ``~2`` and so on.
        session_id: Kedro's id of the session.
        project: Name of its package, or of its folder if it has none.
        data: The session's mapping as its store had it, secrets replaced: ``project_path``,
            ``package_name``, ``env``, ``conf_source``, ``username``, ``git`` (``commit_sha``,
            ``dirty``), ``cli`` (``command_path``, ``params`` and so on), ``runtime_params``,
            ``environment`` (variables), ``kedro_version``, ``prunner_version``,
            ``python_version``, ``exception``.
        outcome: How it ended: as its last run did, or failed if it was left by an exception.
        started: When it was created.
        ended: When it was closed; ``None`` if it was not, or cannot be.
        host: Name of the machine.
        pid: Id of its process.
        pid_created: When that was created.
    """

    key: str
    session_id: str
    project: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome = Outcome.RUNNING
    started: float = 0.0
    ended: float | None = None
    host: str = ""
    pid: int = 0
    pid_created: int = 0
