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
from dataclasses import dataclass
from multiprocessing import util
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from prunner.bridge import link as links
from prunner.bridge.link import Link
from prunner.processes import tree
from prunner.processes.orders import Orders

if TYPE_CHECKING:
    from prunner.bridge.logs import LogLevels, LogRelay
    from prunner.processes.project import ProjectState

# For whoever hunts a worker that hangs: it prints the stacks of its threads after so many seconds.
DUMP_VARIABLE = "PRUNNER_DUMP_TRACEBACKS_AFTER"

_orders: Orders | None = None
_link: Link | None = None
_logs: LogRelay | None = None


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker gets from the parent when it starts.

    Attributes:
        project: The project to configure.
        levels: The levels at which the parent logs.
    """

    project: ProjectState
    levels: LogLevels


def initialize(connection: Connection, order_end: Connection, setup: bytes) -> None:
    """Set up the project in this new process and tell the parent whether it worked.

    Args:
        connection: The worker's end of the link.
        order_end: Where orders come from, which ends when the parent ends.
        setup: A pickled ``WorkerSetup``; unpickled here, where a failure can be reported.
    """
    global _link, _logs, _orders
    # Ctrl-C reaches the whole process group; the parent alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    links.keep_only(connection, order_end)
    link = Link(connection)
    _orders = Orders(link.send)
    threading.Thread(
        target=_orders.listen, args=(order_end,), name="prunner-orders", daemon=True
    ).start()
    try:
        _logs = _set_up(pickle.loads(setup), link)
        import prunner.processes.steps  # noqa: F401 - "ready" means that a step begins at once
    except BaseException as error:
        from prunner.bridge.failure import show
        from prunner.bridge.messages import StartFailed

        link.send(StartFailed(f"{type(error).__name__}: {error}", show(error)))
        return
    from prunner.bridge.messages import Ready

    _link = link
    link.send(Ready())


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
    if _link is None or _logs is None or _orders is None:
        return  # the project could not be set up, and the parent knows
    from prunner.processes.steps import serve_steps

    gc.freeze()  # what is here now stays: let nobody look through it for garbage again
    try:
        serve_steps(_orders, _link, _logs)
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
