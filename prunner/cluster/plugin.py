"""The worker plugin of a run: it sets up the project in every worker before its first step.

Dask gives it to the workers that are there, to those that join later, and to those that take the
place of one that has ended. This module may not import Kedro at its head: the import configures
logging, and that must be prepared first.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

from prunner.bridge.logs import bare_kedro_logging

if TYPE_CHECKING:
    from distributed import Worker

    from prunner.cluster.messages import ClusterRun


given_up: set[tuple[str, int]] = set()  # steps that are to fail here, behind the token of their run


class RunPlugin(WorkerPlugin):  # type: ignore[misc]
    """What every worker has of a run.

    Args:
        told: The run.
    """

    def __init__(self, told: ClusterRun) -> None:
        self.told = told
        self.name = self.name_of(told.token)
        self._client = socket.gethostname(), os.getpid()

    @staticmethod
    def name_of(token: str) -> str:
        """The name of the plugin of a run."""
        return f"prunner-{token}"

    async def setup(self, worker: Worker) -> None:
        """Set up the project; whatever goes wrong is said when a step asks for it."""
        # Not in the event loop: it must not stand still for as long as a project is imported.
        await asyncio.to_thread(self._set_up, worker)

    def teardown(self, worker: Worker) -> None:
        """Forget the run."""
        from prunner.cluster.marks import leave_nothing
        from prunner.cluster.steps import leave, runs

        leave(self.told.token, worker)
        runs.pop((self.told.token, worker.address), None)
        if not any(address == worker.address for _, address in runs):
            leave_nothing(worker)

    def _set_up(self, worker: Any) -> None:
        is_inside = self._client == (socket.gethostname(), os.getpid())
        with bare_kedro_logging():
            from prunner.cluster.steps import WorkerRun, runs
            from prunner.kedro_internals import copied
        run = WorkerRun(self.told, worker, is_inside)
        runs[self.told.token, worker.address] = run
        run.tell_of_death()
        run.try_to_set_up()
        copied("", None)  # which looks for pandas, and is no part of the time of a node


class GiveUpPlugin(WorkerPlugin):  # type: ignore[misc]
    """Lets a step fail that Dask would run again, in workers of now and of later.

    Args:
        token: The run.
        step: Which one.
    """

    def __init__(self, token: str, step: int) -> None:
        self.name = f"{RunPlugin.name_of(token)}-without-{step}"
        self._token = token
        self._step = step

    def setup(self, worker: Worker) -> None:
        """Note the step."""
        given_up.add((self._token, self._step))

    def teardown(self, worker: Worker) -> None:
        """Forget it: the run has ended."""
        given_up.discard((self._token, self._step))
