"""A process that has imported the project, and from which workers are forked.

Each worker that starts from nothing imports Kedro and the project's nodes anew: a second or more
of CPU time for each. A *fork server* of Python's own imports them once (``preload``), and makes a
worker in some milliseconds. Nobody but that server is copied: not the threads, connections and
files of the main process, which make ``fork`` dangerous.

Where the imports leave something in the server that must not be shared either, the worker says so
(``preload.why_no_worker``), and is started anew from nothing.

Covers: a fork server of our own, beside that of ``multiprocessing``, which belongs to others.
Does not cover: what is imported there (``preload``), how long it stays (``keeper``).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import psutil

from prunner.processes import main_module
from prunner.processes.freshness import LoadedModules
from prunner.processes.preload import PRELOAD_VARIABLE

if TYPE_CHECKING:
    from multiprocessing.forkserver import ForkServer

    from prunner.processes.project import ProjectState

_here = threading.local()
_lock = threading.Lock()  # of the environment, and of multiprocessing's function


class Template:
    """A fork server that has imported a project.

    Args:
        project: The project.
        pipelines: Names of the pipelines whose modules it imports, ``None`` for all.
        modules: Names of further modules.

    Attributes:
        loaded: What the main process had loaded when it was started.
        is_spent: Whether no more workers can be made by it.
        leaves_at: When it goes if nobody needs it, by ``time.monotonic()``.
    """

    def __init__(
        self, project: ProjectState, pipelines: Sequence[str] | None, modules: Iterable[str]
    ) -> None:
        # Not at the head of this module: Windows has none.
        from multiprocessing.forkserver import ForkServer

        self.loaded = LoadedModules(project.package_name)
        self.is_spent = False
        self.leaves_at = math.inf
        # Not all versions of Python hand on the search path themselves.
        wanted = json.dumps([project.sys_path, project.package_name, pipelines, sorted(modules)])
        self._server = ForkServer()
        self._server.set_forkserver_preload(["prunner.processes.preload"])
        with _lock, main_module.not_imported():
            os.environ[PRELOAD_VARIABLE] = wanted
            try:
                self._server.ensure_running()
            finally:
                del os.environ[PRELOAD_VARIABLE]

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this context, it makes the processes that this thread starts by ``forkserver``."""
        _divert()
        _here.server = self._server
        try:
            yield
        finally:
            _here.server = None

    def stop(self) -> None:
        """End it as soon as the last of its workers has ended."""
        # Each of its workers has this too; when nobody has it any more, the server ends.
        os.close(self._server._forkserver_alive_fd)  # type: ignore[attr-defined]

    def wait(self, seconds: float) -> bool:
        """Wait until it is gone.

        Args:
            seconds: How long at most.

        Returns:
            Whether it is gone.
        """
        try:
            psutil.Process(self._server._forkserver_pid).wait(seconds)  # type: ignore[attr-defined]
        except psutil.TimeoutExpired:
            return False
        except psutil.NoSuchProcess:
            pass
        return True


def _divert() -> None:
    """Let ``multiprocessing`` ask the server that the starting thread uses."""
    from multiprocessing import forkserver

    with _lock:
        original = forkserver.connect_to_new_process
        if getattr(original, "is_prunners", False):
            return

        def connect_to_new_process(fds: Sequence[int]) -> tuple[int, int]:
            server: ForkServer | None = getattr(_here, "server", None)
            return (server.connect_to_new_process if server is not None else original)(fds)

        connect_to_new_process.is_prunners = True  # type: ignore[attr-defined]
        forkserver.connect_to_new_process = connect_to_new_process
