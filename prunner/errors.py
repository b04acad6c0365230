"""Every exception that prunner raises of its own, each with what the user can do next.

Exceptions of nodes, datasets and hooks are not here: they reach the caller as they are.
"""

from __future__ import annotations

from kedro.io import DatasetError


class PrunnerError(Exception):
    """The base of all errors that prunner itself raises."""


class OptionError(PrunnerError, ValueError):
    """An option of the runner has a value that cannot be used."""


class ProjectError(PrunnerError):
    """A command needs a Kedro project, or something in it, that is not there."""


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
    """A worker process ended while it ran a node.

    Args:
        node: Name of the node that ran there, ``None`` where there was none.
        exitcode: Exit code of the process, the negative signal number on POSIX, ``None``
            where it is not known.
        pid: Process id of the worker.
    """

    def __init__(self, node: str | None, exitcode: int | None, pid: int | None) -> None:
        self.node = node
        self.exitcode = exitcode
        self.pid = pid
        super().__init__(node, exitcode, pid)

    def __str__(self) -> str:
        where = f"while it ran node '{self.node}'" if self.node else "between two nodes"
        advice = " Run the node alone with SequentialRunner to find out." if self.node else ""
        return (
            f"Worker process {self.pid} ended {where} ({_describe_exit(self.exitcode)}). "
            "Likely reasons are a lack of memory (the system ends the process) or a crash in "
            f"native code.{advice}"
        )


def _describe_exit(exitcode: int | None) -> str:
    if exitcode is None:
        return "exit code unknown"
    if exitcode >= 0:
        return f"exit code {exitcode}"
    import signal

    try:
        return f"signal {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"signal {-exitcode}"
