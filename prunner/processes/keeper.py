"""Workers that stay when a run has ended, for the next one of this process.

A notebook or a service runs the same project again and again; starting its workers takes a
hundred times as long as a small run. They go when they have been idle for a while, when this
process ends, and when the next run needs something else: another start method, package,
environment, search path or folder, or code that has changed (``freshness``).

Forked workers never stay: they are copies of this process as it was, and quickly made.

Covers: which workers are idle, who gets them, when they go. Does not cover: runs (``pool``).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prunner.processes.freshness import LoadedModules
from prunner.processes.process import WorkerProcess, stop_all
from prunner.processes.project import ProjectState

_COPIES = "fork"  # the start method
_PATIENCE = 300.0  # seconds that a worker waits for the run that it was started for


@dataclass(frozen=True)
class WorkerKind:
    """What a worker is started with and keeps; the rest is said anew for each run.

    Attributes:
        start_method: ``loky``, ``spawn``, ``forkserver`` or ``fork``.
        project: The project that it has set up.
    """

    start_method: str
    project: ProjectState

    def fits(self, other: WorkerKind) -> bool:
        """True if a worker of one kind can do what one of the other can."""
        return self._lasting() == other._lasting()

    def _lasting(self) -> tuple[str, ProjectState]:
        return self.start_method, replace(self.project, requested_pipelines=None)


@dataclass
class Member:
    """A worker, with what tells whether it can serve another run.

    Attributes:
        process: The worker process.
        kind: What it was started with.
        modules: What this process had loaded at that time.
        leaves_at: When it goes if nobody takes it, by ``time.monotonic()``.
    """

    process: WorkerProcess
    kind: WorkerKind
    modules: LoadedModules
    leaves_at: float = 0.0

    def can_serve(self, kind: WorkerKind) -> bool:
        """True if it is there, of that kind, and has no stale code."""
        return self.kind.fits(kind) and self.modules.are_the_same() and self.process.can_serve


class Keeper:
    """The idle workers of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Member] = []
        self._timer: threading.Timer | None = None
        self._pid = os.getpid()
        self._is_registered = False
        self._leaver: threading.Thread | None = None  # lets workers go whose time has come

    def prepare(self, kind: WorkerKind, setup: Callable[[], bytes]) -> None:
        """Start a worker for a run that is about to come, unless one is idle.

        Args:
            kind: What it is started with.
            setup: Makes what it is started with: a pickled ``worker.WorkerSetup``.
        """
        if kind.start_method == _COPIES:
            return  # quickly made when it is needed, as a copy of what there is then
        with self._lock:
            if any(each.can_serve(kind) for each in self._idle_here()):
                return
        started = self._start(kind, 1, setup)
        for each in started:
            each.leaves_at = time.monotonic() + _PATIENCE
        with self._lock:
            self._idle += started
            self._set_timer()

    def take(self, kind: WorkerKind, count: int, setup: Callable[[], bytes]) -> list[Member]:
        """Get workers: idle ones as far as there are some, new ones beyond that.

        Idle ones that cannot serve such a run go: there will hardly be one that they can serve.

        Args:
            kind: What they must be started with.
            count: How many.
            setup: Makes what new ones are started with: a pickled ``worker.WorkerSetup``.

        Returns:
            The workers, which are the caller's from now on.
        """
        with self._lock:
            idle = self._idle_here()
            useful = [each for each in idle if each.can_serve(kind)]
            self._idle = useful[count:]
            taken = useful[:count]
        stop_all(each.process for each in idle if each not in useful)
        return taken + self._start(kind, count - len(taken), setup)

    def _start(self, kind: WorkerKind, count: int, setup: Callable[[], bytes]) -> list[Member]:
        if count <= 0:
            return []
        self._stop_at_exit()
        packed, loaded = setup(), LoadedModules(kind.project.package_name)
        processes = [WorkerProcess(kind.start_method, packed) for _ in range(count)]
        return [Member(process, kind, loaded) for process in processes]

    def keep(self, members: Sequence[Member], idle_timeout: float) -> list[Member]:
        """Let workers wait for a next run.

        Args:
            members: Workers that are free.
            idle_timeout: Seconds after which they go.

        Returns:
            Those that stay; the others are the caller's to stop.
        """
        staying = [m for m in members if idle_timeout > 0 and m.kind.start_method != _COPIES]
        for each in staying:
            each.leaves_at = time.monotonic() + idle_timeout
        with self._lock:
            # Those that worked last come first: their memory is warm.
            self._idle = [*staying, *self._idle_here()]
            self._set_timer()
        return staying

    def stop(self) -> None:
        """End all idle workers and wait until they are gone."""
        with self._lock:
            idle, self._idle = self._idle_here(), []
            leaver = self._leaver
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            if timer is not threading.current_thread():
                timer.join()
        if leaver is not None and leaver is not threading.current_thread():
            leaver.join()
        stop_all(each.process for each in idle)

    def _leave(self) -> None:
        with self._lock:
            self._leaver = threading.current_thread()
            now = time.monotonic()
            idle = self._idle_here()
            due = [each for each in idle if each.leaves_at <= now]
            self._idle = [each for each in idle if each not in due]
            self._set_timer()
        stop_all(each.process for each in due)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._idle:
            wait = min(each.leaves_at for each in self._idle) - time.monotonic()
            self._timer = threading.Timer(max(0.0, wait), self._leave)
            self._timer.name = "prunner-keeper"
            self._timer.daemon = True
            self._timer.start()

    def _idle_here(self) -> list[Member]:
        """The idle workers; a process that was forked from the one that has them has none."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._idle, self._timer, self._is_registered = [], None, False
            self._leaver = None
        return self._idle

    def _stop_at_exit(self) -> None:
        if not self._is_registered:
            self._is_registered = True
            # Not atexit: before that is due, Python waits for loky's threads, and they for workers.
            threading._register_atexit(self.stop)  # type: ignore[attr-defined]


keeper = Keeper()


def stop_workers() -> None:
    """End the worker processes that wait for a next run, and wait until they are gone.

    They end by themselves when they have been idle for as long as the runner's ``idle_timeout``
    says, and with this process. Workers of a run that is going on are left alone.
    """
    keeper.stop()
