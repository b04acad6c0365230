"""The workers of a run as the client knows them: numbers, processes, clocks, ways to call them.

A worker here is a thread that runs nodes: a process of Dask's may have several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prunner.cluster import steps
from prunner.errors import ClusterError
from prunner.planning.decisions import PARENT

if TYPE_CHECKING:
    from distributed import Client

NOBODY = PARENT - 1  # the number of no worker


class Workers:
    """The workers of one run.

    Args:
        client: Dask's.
        token: The run.

    Attributes:
        processes: Host and process id of each worker, by its number.
    """

    def __init__(self, client: Client, token: str) -> None:
        self.processes: dict[int, tuple[str, int]] = {}
        self._client = client
        self._token = token
        self._numbers: dict[tuple[str, int], int] = {}  # by address and thread
        self._addresses: dict[int, str] = {}
        self._ended: dict[int, int] = {}  # the step that each worker has ended last
        self._asked: dict[int, int] = {}  # number of the question that a worker waits for
        self._offsets: dict[str, float] = {}  # between clocks, in seconds, by address

    def number(self, address: str, thread: int) -> int:
        """The number of a thread that runs nodes."""
        number = self._numbers.setdefault((address, thread), len(self._numbers))
        self._addresses[number] = address
        return number

    def address(self, worker: int) -> str:
        """The address of a worker."""
        return self._addresses[worker]

    def note_begin(self, worker: int, host: str, pid: int) -> None:
        """A worker has begun a step."""
        self.processes[worker] = host, pid
        self._ended.pop(worker, None)

    def note_end(self, worker: int, step: int) -> None:
        """A worker has ended a step."""
        self._ended[worker] = step

    def host(self, worker: int) -> str:
        """The machine of a worker; empty if it is not known."""
        return self.processes.get(worker, ("", 0))[0]

    def pid(self, worker: int) -> int | None:
        """The process of a worker."""
        return self.processes[worker][1] if worker in self.processes else None

    def host_at(self, address: str) -> str:
        """The machine with an address: its name, if it has said so."""
        for worker, (host, _) in self.processes.items():
            if self._addresses[worker] == address:
                return host
        return address.rpartition("/")[2].rpartition(":")[0]

    def note_clock(self, address: str, sent: float, heard: float) -> None:
        """Something has been heard that was sent when the clock there said so."""
        late = heard - sent
        self._offsets[address] = min(late, self._offsets.get(address, late))

    def here(self, address: str, at: float) -> float:
        """What the clock here said when the one of a worker said this."""
        return at + self._offsets.get(address, 0.0)

    def note_question(self, worker: int, number: int) -> None:
        """A worker waits for an answer."""
        self._asked[worker] = number

    def answer(self, worker: int, message: Any) -> None:
        """Answer the hook call for which a worker waits; called on the calling thread.

        Raises:
            ClusterError: If the scheduler cannot be reached.
        """
        try:
            self.reply(self._addresses[worker], self._asked.pop(worker), tuple(message))
        except (OSError, RuntimeError, ValueError) as error:  # of a client that has been closed
            raise ClusterError(
                "Dask's scheduler has ended or cannot be reached any more, while a hook was "
                f"answered: {type(error).__name__}: {error}"
            ) from error

    def reply(self, address: str, number: int, reply: Any) -> None:
        """Answer a question of a process."""
        self.call(address, steps.answer, self._token, number, reply)

    def call(self, address: str, function: Callable[..., Any], *args: Any) -> None:
        """Let a process do something; it may be gone."""
        self._client.run(function, *args, workers=[address], on_error="ignore")

    def running(self) -> dict[int, int]:
        """Let no worker begin another step.

        Returns:
            The steps that run, by the number of their worker.
        """
        found = self._client.run(steps.stop, self._token, on_error="ignore")
        running = {
            self.number(address, thread): step
            for address, threads in found.items()
            for thread, step in threads
        }
        # A worker says that a step has ended a moment before the step is gone from its list.
        return {w: step for w, step in running.items() if self._ended.get(w) != step}

    def addresses(self) -> set[str]:
        """The addresses of all processes that are there now."""
        return set(self._client.nthreads())
