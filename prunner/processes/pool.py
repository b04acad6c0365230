"""The pool: k workers, each a loky executor with a single process.

     parent                                              worker k
    +------------------------------+                    +---------------------------+
    | order(k, message) -----------|---- orders --------|-> serve(): one step after |
    |                              |                    |   the other; ends with    |
    |                              |                    |   the parent              |
    | inbox <- reader thread k <---|----- link ---------|-- ends of steps, hook     |
    |       <- WorkerGone          |                    |   calls, log records      |
    | answer(k, message) ----------|----- link ---------|-> to a hook call          |
    +------------------------------+                    +---------------------------+

In a shared executor one killed process fails everything that had been submitted, and nobody
knows who ran what; with one executor for each process a death concerns its own slot only.

Covers: starting, sending, noticing an end, stopping. The only room that imports loky's executor.
Does not cover: what the messages mean.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from loky.process_executor import LokyRecursionError, ProcessPoolExecutor

from prunner.bridge import link as links
from prunner.bridge.link import Link
from prunner.bridge.messages import FromWorker, WorkerGone
from prunner.processes import main_module, tree, worker
from prunner.processes.orders import STOP

GRACE = 5.0  # seconds that a worker has to end by itself after it was told to
FORKING = ("fork", "forkserver")  # start methods


@dataclass(slots=True)
class _Worker:
    number: int
    executor: ProcessPoolExecutor
    future: Future[None]
    process: BaseProcess
    manager: threading.Thread
    link: Link
    orders: Link
    reader: threading.Thread | None = None


class WorkerPool:
    """Worker processes, numbered from 0.

    Args:
        start_method: ``loky``, ``spawn``, ``forkserver`` or ``fork``.
        setup: A pickled ``worker.WorkerSetup``.
        inbox: Where everything that workers say, or that is known of them, is put.
    """

    def __init__(self, start_method: str, setup: bytes, inbox: queue.SimpleQueue[Any]) -> None:
        self._start_method = start_method
        self._setup = setup
        self._inbox = inbox
        self._workers: list[_Worker] = []
        self._stopping = False

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop(kill=error is not None)

    def start(self, count: int) -> None:
        """Start that many workers; each reports by itself when it is ready."""
        for _ in range(count):
            self._start_one()

    def order(self, number: int, message: Any) -> None:
        """Tell a worker what to do; its end, if it is gone, is reported to the inbox."""
        self._workers[number].orders.send(message)

    def answer(self, number: int, message: Any) -> None:
        """Answer the hook call for which a worker waits."""
        self._workers[number].link.send(message)

    def stop(self, *, kill: bool = False) -> None:
        """End all workers, with their own child processes, and wait until they are gone.

        Args:
            kill: Whether to end them at once, also in the middle of a step.
        """
        self._stopping = True
        if not kill:
            for each in self._workers:
                each.orders.send(STOP)
        wait_for([each.future for each in self._workers], timeout=0 if kill else GRACE)
        for each in self._workers:
            if not each.future.done():
                tree.kill(each.process)
            each.executor.shutdown(wait=False)
        deadline = time.monotonic() + GRACE
        for each in self._workers:
            each.manager.join(max(0.0, deadline - time.monotonic()))
            if each.manager.is_alive():  # something keeps the process from exiting
                tree.kill(each.process)
                # A process that a node started and let go may hold loky's pipe for as long as
                # it likes; nobody waits for it.
                each.manager.join(GRACE)
            if each.reader is not None:
                each.reader.join(GRACE)
            each.link.close()
            each.orders.close()
        self._workers.clear()

    def _start_one(self) -> None:
        number = len(self._workers)
        mine, theirs = links.connect()
        my_orders, their_orders = links.one_way()
        executor = ProcessPoolExecutor(
            max_workers=1,
            context=multiprocessing.get_context(self._start_method),
            initializer=worker.initialize,
            initargs=(theirs, their_orders, self._setup),
            env=_interpreter_options(),
        )
        with _starting(self._start_method):
            future = executor.submit(
                worker.serve,
                self._start_method in FORKING,
                multiprocessing.get_start_method(allow_none=True),
            )
        # Held by the worker alone from now on, so that its end is the end of the stream.
        theirs.close()
        their_orders.close()
        started = _Worker(
            number=number,
            executor=executor,
            future=future,
            # loky tells neither the exit code of a worker nor whether it is gone for good.
            process=next(iter(executor._processes.values())),
            manager=executor._executor_manager_thread,
            link=Link(mine),
            orders=Link(my_orders),
        )
        self._workers.append(started)
        started.reader = threading.Thread(
            target=self._read, args=(started,), name=f"prunner-reader-{number}", daemon=True
        )
        started.reader.start()

    def _read(self, source: _Worker) -> None:
        with contextlib.suppress(EOFError):
            while True:
                self._inbox.put(FromWorker(source.number, source.link.receive()))
        if not self._stopping:
            wait_for([source.future], timeout=GRACE)
            process = source.process
            self._inbox.put(WorkerGone(source.number, process.pid, process.exitcode))


def _interpreter_options() -> dict[str, str]:
    """Options of this interpreter as environment variables; loky hands on none of them.

    The worker's environment is made that of this process again before a node runs.
    """
    options = {
        "PYTHONUTF8": "1" if sys.flags.utf8_mode else "",
        "PYTHONWARNINGS": ",".join(sys.warnoptions),
        "PYTHONDEVMODE": "1" if sys.flags.dev_mode else "",
        "PYTHONOPTIMIZE": str(sys.flags.optimize or ""),
    }
    return {name: value for name, value in options.items() if value}


def why_no_workers(start_method: str) -> str | None:
    """Say why this process cannot start workers; ``None`` if it can.

    Args:
        start_method: How they would be started.
    """
    if multiprocessing.current_process().daemon:
        return "this process is itself a worker of a pool and may not start others"
    try:
        # loky checks how deep pools are nested; it starts nothing before the first call.
        ProcessPoolExecutor(1, context=multiprocessing.get_context(start_method)).shutdown()
    except LokyRecursionError as error:
        return f"this process is itself a worker and may not start others: {error}"
    return None


@contextlib.contextmanager
def _starting(start_method: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(main_module.not_imported())
        if start_method == "fork":
            # Python 3.12 and later warn of every fork while there are threads. The threads
            # here are loky's and wait; whoever chose "fork" knows of his own.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", DeprecationWarning)
        yield
