"""What runs inside a worker process.

    initialize      runs in the pool's initializer: sets up logging and the project, reports
    serve           takes one step after the other from the link until it is told to stop

Whatever happens to a step is answered with a message; nothing is raised through the pool.
This module may not import Kedro at its head: the import configures logging, and that must
be prepared first.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing import util
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

from prunner.bridge import link as links
from prunner.bridge.link import Link
from prunner.processes import tree
from prunner.processes.crashes import write_crashes_to
from prunner.processes.freshness import CodeWatch
from prunner.processes.orders import Orders
from prunner.processes.project import (
    ProjectState,
    import_modules,
    import_pipelines,
    request_pipelines,
)
from prunner.processes.threads import ThreadLimit

if TYPE_CHECKING:
    from prunner.bridge.logs import LogLevels, LogRelay
    from prunner.bridge.messages import BeginRun, Ready

# For whoever hunts a worker that hangs: it prints the stacks of its threads after so many seconds.
DUMP_VARIABLE = "PRUNNER_DUMP_TRACEBACKS_AFTER"

_worker: _Worker | None = None


class Preload(NamedTuple):
    """What a new worker imports before it says that it is ready.

    Else a worker that is ready would get a step, and only then import what the step needs, while
    another one has it all.

    Attributes:
        threads: How many threads each numeric library may use.
        modules: Names of modules.
        pipelines: Names of pipelines, where it is not known yet which nodes will run.
        sends_prints: Whether what is printed meanwhile is sent to the parent.
    """

    threads: int
    modules: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    sends_prints: bool = False


class WorkerSetup(NamedTuple):
    """What a worker gets from the parent when it starts.

    Attributes:
        project: The project to configure.
        levels: The levels at which the parent logs.
        preload: What to import before the worker says that it is ready.
    """

    project: ProjectState
    levels: LogLevels
    preload: Preload | None = None


def packed_setup(project: ProjectState, preload: Preload | None = None) -> bytes:
    """What a new worker is started with, pickled.

    Args:
        project: The project to configure.
        preload: What to import before the worker says that it is ready.
    """
    from prunner.bridge.logs import LogLevels

    return pickle.dumps(WorkerSetup(project, LogLevels.capture(), preload))


def initialize(
    connection: Connection, order_end: Connection, setup: bytes, crash_file: str
) -> None:
    """Set up the project in this new process and tell the parent whether it worked.

    Args:
        connection: The worker's end of the link.
        order_end: Where orders come from, which ends when the parent ends.
        setup: A pickled ``WorkerSetup``; unpickled here, where a failure can be reported.
        crash_file: What is written when this process crashes.
    """
    global _worker
    write_crashes_to(crash_file)
    # Ctrl-C reaches the whole process group; the parent alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked process has what the parent has
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    links.keep_only(connection, order_end)
    link = Link(connection)
    orders = Orders(link.send)
    threading.Thread(
        target=orders.listen, args=(order_end,), name="prunner-orders", daemon=True
    ).start()
    try:
        worker = _Worker(pickle.loads(setup), link, orders)
    except BaseException as error:
        from prunner.bridge.failure import show
        from prunner.bridge.messages import StartFailed

        link.send(StartFailed(f"{type(error).__name__}: {error}", show(error)))
        return
    _worker = worker
    os.environ[tree.MARK] = os.path.basename(crash_file)
    link.send(worker.at_rest())


class _Worker:
    """This process, once the project is set up.

    Args:
        setup: What the parent sent.
        link: The connection to the parent.
        orders: What the parent wants.
    """

    def __init__(self, setup: WorkerSetup, link: Link, orders: Orders) -> None:
        self._link = link
        self._orders = orders
        self._code = CodeWatch(setup.project.package_name)
        self._logs = _set_up(setup, link)
        self._threads = ThreadLimit()
        # "Ready" means that a step can begin at once.
        import prunner.processes.steps  # noqa: F401
        from prunner.bridge.prints import PrintRelay

        self._prints = PrintRelay(link.send)
        if setup.preload is not None:
            self._prints.switch(setup.preload.sends_prints)
            self._threads.apply(setup.preload.threads)
            with self._logs.kept():
                import_modules(setup.preload.modules)
                import_pipelines(setup.project.package_name, setup.preload.pipelines)

    def serve(self) -> None:
        """Run steps until the parent says stop."""
        from prunner.processes.steps import serve_steps

        gc.freeze()  # what is here now stays: let nobody look through it for garbage again
        serve_steps(self._orders, self._link, self._logs, self)
        self._prints.switch(False)

    def begin(self, run: BeginRun) -> None:
        """Set up what differs between runs."""
        if run.set_up is not None:
            self._logs.set_levels(run.set_up.levels)
            self._threads.apply(run.set_up.threads)
            request_pipelines(run.set_up.pipelines)
            self._prints.switch(run.set_up.sends_prints)

    def at_rest(self) -> Ready:
        """Say what is left of a run that has ended, and which code is in memory now."""
        from prunner.bridge.messages import Ready

        self._prints.switch(False)
        # Daemonic threads are those of libraries that wait for more to do.
        threads = [each for each in threading.enumerate() if not each.daemon]
        clean = threads == [threading.main_thread()] and not tree.has_below()
        return Ready(self._code.new_files(), clean)


def _set_up(setup: WorkerSetup, link: Link) -> LogRelay:
    from prunner.bridge.logs import LogRelay, bare_kedro_logging

    if seconds := os.environ.get(DUMP_VARIABLE):
        # Not faulthandler's own timer: a forked process that inherits a running one hangs.
        timer = threading.Timer(float(seconds), faulthandler.dump_traceback)
        timer.daemon = True
        timer.start()
    with bare_kedro_logging():
        from prunner.processes.project import keep_logging

        keep_logging(setup.project.package_name)
    logs = LogRelay(setup.levels, link.send)
    logs.install()
    with logs.kept():
        setup.project.restore()
    return logs


def serve(forked: bool, default_start_method: str | None) -> None:
    """Run steps until the parent says stop.

    Args:
        forked: Whether this process is a copy of another one.
        default_start_method: How ``multiprocessing`` starts processes in the parent.
    """
    # Else the method that started this process would be the default for nodes; loky's cannot
    # even start a plain multiprocessing.Process.
    multiprocessing.set_start_method(default_start_method, force=True)
    tree.end_before_exit()
    if forked and sys.version_info < (3, 13):
        _run_exit_functions()
    if _worker is None:
        return  # the project could not be set up, and the parent knows
    try:
        _worker.serve()
    except BaseException:
        # loky would keep the process for further calls, and the parent wait for an answer.
        traceback.print_exc()
        os._exit(1)


def _run_exit_functions() -> None:
    # Before Python 3.13 a forked process ends without calling what was registered with atexit:
    # joblib's folders in shared memory would stay for its tracker, which complains. As in later
    # versions, what the other process had registered before is not this one's to call.
    atexit._clear()
    util.Finalize(None, atexit._run_exitfuncs, exitpriority=0)
