"""A scheduler and workers of Dask in processes of their own, as on other machines.

They are started from a folder of their own, find prunner and what they are told to find, and talk
over TCP. Tests wait for them by Dask's means, and meet with nodes over connections.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import psutil
from distributed import Client
from distributed.security import Security

import prunner
import tests

LIMIT = 60  # seconds until something is said to hang; no test waits for that
HOME = Path(tests.__file__).parents[1]
LIBRARY = Path(prunner.__file__).parents[1]

Address = tuple[str, int]


def environment(*import_path: Path, **more: str) -> dict[str, str]:
    """The environment of a process that finds prunner and these folders."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (*import_path, LIBRARY))),
        "PYTHONUTF8": "1",
        **more,
    }


class Cluster:
    """A scheduler and its workers.

    Args:
        root: A folder for what they write.
        more: Environment variables of the scheduler.
    """

    def __init__(self, root: Path, **more: str) -> None:
        self.root = root
        self.file = root / "scheduler.json"
        self._stack = ExitStack()
        self._count = 0
        options = ["--scheduler-file", str(self.file), "--no-dashboard", "--port", "0"]
        options += ["--dashboard-address", "127.0.0.1:0"]
        # Should nobody end it, since the process of the tests has been killed.
        options += ["--idle-timeout", "300 s"]
        if "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in more:
            options += ["--protocol", "tls"]
        self.scheduler = self._start("scheduler", options, more)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def worker(
        self,
        *options: str,
        import_path: tuple[Path, ...] = (HOME,),
        nanny: bool = False,
        **more: str,
    ) -> subprocess.Popen[bytes]:
        """Start a worker.

        Args:
            options: For the command.
            import_path: Where it finds modules besides prunner.
            nanny: Whether a process watches over it, and starts it again.
            more: Environment variables.
        """
        folder = self.root / f"worker{self._count}"
        folder.mkdir()
        given = ["--scheduler-file", str(self.file), "--local-directory", str(folder)]
        given += ["--no-dashboard", "--memory-limit", "0", "--nanny" if nanny else "--no-nanny"]
        given += ["--death-timeout", str(LIMIT)]
        threads = [] if "--nthreads" in options else ["--nthreads", "1"]
        return self._start("worker", [*given, *threads, *options], more, *import_path)

    def client(self, workers: int, security: Security | None = None) -> Client:
        """A client, once there are so many workers."""
        found = self._client(LIMIT, security)
        found.wait_for_workers(workers, timeout=LIMIT)
        return found

    def impatient_client(self) -> Client:
        """A client that soon gives up on a scheduler that has ended."""
        return self._client(2, None)

    def _client(self, limit: int, security: Security | None) -> Client:
        client = Client(
            scheduler_file=str(self.file),
            timeout=limit,
            security=security,
            set_as_default=False,
        )
        self._stack.callback(client.close)
        return client

    def logs(self) -> str:
        """What the processes have written."""
        paths = sorted(self.root.glob("*.log"))
        return "\n".join(path.read_text("utf-8", "replace") for path in paths)

    def _start(
        self, kind: str, options: list[str], more: dict[str, str], *import_path: Path
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1"]
        path = self.root / f"{kind}{self._count}.log"
        self._count += 1
        with path.open("wb") as log:
            process = subprocess.Popen(
                [*command, *options],
                cwd=self.root,
                env=environment(*import_path, **more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._stack.callback(end, process)
        return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and those that it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        # A nanny first: it would start its worker again.
        here = psutil.Process(process.pid)
        for each in (here, *here.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait(LIMIT)


def plugins_of_runs(client: Client) -> list[str]:
    """What workers have of runs."""
    return [name for names in client.run(_plugins_of_runs).values() for name in names]


def _plugins_of_runs(dask_worker: Any) -> list[str]:
    from prunner.cluster.steps import runs

    return [*runs, *(name for name in dask_worker.plugins if "prunner" in name)]


def wait_until_nothing_is_held(client: Client) -> None:
    """Wait until workers have no data; the scheduler is told a moment after the end of a run."""
    while client.who_has():
        pass


class Meeting:
    """Where nodes say that they have begun, and wait until they may go on."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._open: list[Connection] = []

    @property
    def address(self) -> Address:
        """What a node needs to come here."""
        address = self._listener.address
        assert isinstance(address, tuple)
        return address

    def next(self) -> Guest:
        """The next one that comes."""
        while True:
            connection = self._listener.accept()
            self._open.append(connection)
            # Whoever had the port before may have somebody who looks for it still.
            with contextlib.suppress(EOFError, OSError):
                return Guest(connection, *connection.recv())

    def close(self) -> None:
        """Let nobody wait here any more."""
        for each in self._open:
            each.close()
        self._listener.close()


class Guest:
    """A node that waits.

    Attributes:
        name: What it is called.
        pid: Its process.
    """

    def __init__(self, connection: Connection, name: str, pid: int) -> None:
        self._connection = connection
        self.name = name
        self.pid = pid

    def go_on(self) -> None:
        """Let it go on."""
        self._connection.send(None)


@contextlib.contextmanager
def meeting() -> Iterator[Meeting]:
    """A place to meet with nodes."""
    found = Meeting(Listener(("localhost", 0)))
    try:
        yield found
    finally:
        found.close()
