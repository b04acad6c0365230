"""Every exception that prunner raises of its own, each with what the user can do next.

Exceptions of nodes, datasets and hooks are not here: they reach the caller as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kedro.io import DatasetError

if sys.version_info >= (3, 11):
    _Group = ExceptionGroup[Exception]  # noqa: F821 - looked at by later versions only
else:

    class _Group(Exception):
        """As far as needed, what later versions of Python have."""

        def __init__(self, message: str, exceptions: Sequence[Exception]) -> None:
            self.message = message
            self.exceptions = tuple(exceptions)
            super().__init__(message, exceptions)


class PrunnerError(Exception):
    """The base of all errors that prunner itself raises."""


class OptionError(PrunnerError, ValueError):
    """An option of the runner has a value that cannot be used."""


class RecordError(PrunnerError):
    """Sessions on record cannot be read or written, or there is none as the one asked for."""


class ProjectError(PrunnerError):
    """A command needs a Kedro project, or something in it, that is not there."""


class ClusterError(PrunnerError, RuntimeError):
    """A Dask cluster cannot be reached, or cannot run the project."""


class DataTransferError(PrunnerError, DatasetError):
    """In-memory data could not be handed from one process to another."""


class WorkerError(PrunnerError, RuntimeError):
    """Something happened to a worker process, not to the code that ran in it."""


class WorkerStartError(WorkerError):
    """A worker could not set up the project, so that no node can run in it.

    Args:
        package: Name of the project's package, ``None`` without a project.
        cause: What went wrong in the worker, in one line.
        details: The worker's own traceback, or what is known of its end.
    """

    def __init__(self, package: str | None, cause: str, details: str = "") -> None:
        self.package = package
        self.cause = cause
        self.details = details
        super().__init__(package, cause, details)

    def __str__(self) -> str:
        what = f"set up the project '{self.package}'" if self.package else "start"
        advice = (
            "Check that the package, its settings.py, the modules of its nodes and all that they "
            "import can be imported in a new Python process started from the same folder."
            if self.package
            else "Check that a new Python process can be started and can import prunner."
        )
        text = f"A worker process could not {what}: {self.cause}\n{advice}"
        return f"{text}\n\nIn the worker:\n{self.details}" if self.details else text


class WorkerDied(WorkerError):
    """A worker process ended, usually while it ran a node.

    Args:
        node: Name of the node that ran there, ``None`` where there was none.
        exitcode: Exit code of the process, the negative signal number on POSIX, ``None``
            where it is not known.
        pid: Process id of the worker.
        peak_memory: The most memory that the process was seen to use, in bytes; ``None`` if it
            never was.
        free_memory: How much was free when it was looked at last before, in bytes.
        out_of_memory: Whether the system is likely to have ended it for lack of memory.
        frames: What native code called last in Python, where it crashed.
        is_starting: Whether it had not set up the project yet.
        host: The machine where it ran, where that may be another one.
        deaths: How many workers of a cluster have ended while they had the node to run; ``None``
            where it was this one alone.
    """

    def __init__(  # noqa: PLR0913 - what is known of an end
        self,
        node: str | None,
        exitcode: int | None,
        pid: int | None,
        *,
        peak_memory: int | None = None,
        free_memory: int | None = None,
        out_of_memory: bool = False,
        frames: str = "",
        is_starting: bool = False,
        host: str | None = None,
        deaths: int | None = None,
    ) -> None:
        self.node = node
        self.exitcode = exitcode
        self.pid = pid
        self.peak_memory = peak_memory
        self.free_memory = free_memory
        self.out_of_memory = out_of_memory
        self.frames = frames
        self.is_starting = is_starting
        self.host = host
        self.deaths = deaths
        super().__init__(node, exitcode, pid)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.node, self.exitcode, self.pid), vars(self)

    def __str__(self) -> str:
        where = "while it started" if self.is_starting else "between two nodes"
        if self.node is not None:
            where = f"while it ran node '{self.node}'"
        ended = f"{self._who()} ended {where}"
        text = (
            f"{ended} ({describe_exit(self.exitcode)}). {self._likely()}{self._memory()}"
            if self.deaths is None
            else f"{ended}, for time {self.deaths} in this run. Dask runs a node again until more "
            "workers have ended than distributed.scheduler.allowed-failures says. The log of the "
            "worker may tell why."
        )
        return f"{text}\n\nIn the worker:\n{self.frames}" if self.frames else text

    def _who(self) -> str:
        process = "A worker process" if self.pid is None else f"Worker process {self.pid}"
        return f"{process} on host '{self.host}'" if self.host else process

    def _likely(self) -> str:
        if self.out_of_memory:
            return "The system is likely to have ended it for lack of memory."
        if self.frames:
            return "It crashed in native code."
        if self.exitcode is not None and 0 <= self.exitcode < _WINDOWS_CRASH:
            return "Something in it ended the process, as os._exit() does."
        if self.exitcode is not None and -self.exitcode in _BY_OTHERS:
            return "Somebody has ended it: a person, a scheduler, or the system for lack of memory."
        return "It is likely to have crashed in native code."

    def _memory(self) -> str:
        parts = []
        if self.peak_memory is not None:
            parts.append(f"it used up to {_megabytes(self.peak_memory)}")
        if self.free_memory is not None:
            parts.append(f"{_megabytes(self.free_memory)} were free")
        return f" When it was looked at last, {' and '.join(parts)}." if parts else ""


class NodeTimeout(WorkerDied):
    """A node took longer than its ``timeout``, and its worker was ended.

    Args:
        node: Name of the node.
        timeout: Seconds that it had.
        pid: Process id of the worker.
        frames: What its threads were doing in Python.
        host: The machine where it ran, where that may be another one.
    """

    def __init__(
        self,
        node: str | None,
        timeout: float | None,
        pid: int | None,
        frames: str = "",
        host: str | None = None,
    ) -> None:
        super().__init__(node, None, pid, frames=frames, host=host)
        self.timeout = timeout
        self.args = (node, timeout, pid, frames, host)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args

    def __str__(self) -> str:
        text = (
            f"Node '{self.node}' took longer than its timeout of {self.timeout:g} seconds; "
            f"{self._who()[0].lower()}{self._who()[1:]} was ended."
        )
        return f"{text}\n\nIt was here:\n{self.frames}" if self.frames else text


_BY_OTHERS = (9, 15)  # SIGKILL, SIGTERM
_WINDOWS_CRASH = 0x8000_0000  # such exit codes are those of exceptions


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


class PipelineFailed(PrunnerError, _Group):
    """Nodes have failed in a run that went on with those that do not depend on them.

    An ``ExceptionGroup`` where Python has them (3.11 and later).

    Args:
        failures: The exception of each node that failed, by its name.
        skipped: Names of the nodes that did not run since they depend on a failed one.
        completed: Names of the nodes that ran to their end.
        resume: What to add to the command to run what is missing, ``None`` where nothing helps
            but to run all.
    """

    def __new__(
        cls,
        failures: Mapping[str, Exception],
        skipped: Sequence[str] = (),
        completed: Sequence[str] = (),
        resume: str | None = None,
    ) -> PipelineFailed:
        """Make a group of these exceptions."""
        return super().__new__(cls, _count_failures(failures), list(failures.values()))

    def __init__(
        self,
        failures: Mapping[str, Exception],
        skipped: Sequence[str] = (),
        completed: Sequence[str] = (),
        resume: str | None = None,
    ) -> None:
        super().__init__(_count_failures(failures), list(failures.values()))
        self.failures = dict(failures)
        self.skipped = tuple(skipped)
        self.completed = tuple(completed)
        self.resume = resume

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.failures, self.skipped, self.completed, self.resume)

    def derive(self, excs: Sequence[Exception]) -> Any:
        """Make a part of the group, as ``split`` and ``except*`` want it."""
        return _Group(_count_failures(dict.fromkeys(map(str, range(len(excs))))), excs)

    def __str__(self) -> str:
        lines = [f"{_count_failures(self.failures)}, {len(self.completed)} completed:"]
        for name, error in self.failures.items():
            lines.append(f"- '{name}': {described(error)}")
        if self.skipped:
            named = ", ".join(f"'{name}'" for name in self.skipped)
            lines.append(f"Skipped, since they depend on these: {named}")
        lines.append(
            f"To run what is missing, add to the command: {self.resume}"
            if self.resume
            else "Repeat the command to run them."
        )
        return "\n".join(lines)


def described(error: BaseException) -> str:
    """The class and the text of an exception, also where it cannot make its text."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as fault:
        return f"{type(error).__name__} (whose text cannot be made: {type(fault).__name__})"


def text_of(error: BaseException) -> str:
    """The text of an exception, also where it cannot make one."""
    try:
        return str(error)
    except Exception as fault:
        return f"(whose text cannot be made: {type(fault).__name__})"


def _count_failures(failures: Mapping[str, Any]) -> str:
    return "1 node failed" if len(failures) == 1 else f"{len(failures)} nodes failed"


def describe_exit(exitcode: int | None) -> str:
    """How a process has ended, in words.

    Args:
        exitcode: Its exit code; on POSIX the negative number of the signal that has ended it.
    """
    if exitcode is None:
        return "exit code unknown"
    if exitcode >= _WINDOWS_CRASH:
        return f"exit code {exitcode:#x}"
    if exitcode >= 0:
        return f"exit code {exitcode}"
    import signal

    try:
        return f"signal {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"signal {-exitcode}"
