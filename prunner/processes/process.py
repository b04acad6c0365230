"""One worker process, seen from the parent: a loky executor with a single process.

     parent                                              worker
    +------------------------------+                    +---------------------------+
    | order(message) --------------|---- orders --------|-> serve(): one step after |
    |                              |                    |   the other; ends with    |
    | inbox <- reader thread <-----|----- link ---------|   the parent              |
    |       <- WorkerGone          |                    |-- ends of steps, hook     |
    | answer(message) -------------|----- link ---------|   calls, log records      |
    +------------------------------+                    +---------------------------+

In a shared executor one killed process fails everything that had been submitted, and nobody
knows who ran what; with one executor for each process a death concerns its own slot only.

A worker may serve one run after the other. Between two runs it has no inbox, and what it says is
kept until it has one again: that it is ready, or gone.

Covers: starting, sending, noticing an end, stopping one worker. The only room that imports loky's
executor. Does not cover: which worker does what (``pool``), and how long it stays (``keeper``).
"""

from __future__ import annotations

import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Iterable
from concurrent.futures import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Any

from loky.process_executor import ProcessPoolExecutor, _threads_wakeups

from prunner.bridge import link as links
from prunner.bridge.link import Link
from prunner.bridge.messages import EndRun, FromWorker, Ready, StartFailed, WorkerGone, WriteStacks
from prunner.processes import tree, worker
from prunner.processes.crashes import ask_for_stacks, crash_file, read_crash, wait_for_stacks
from prunner.processes.freshness import Stamp, are_unchanged
from prunner.processes.guard import guard
from prunner.processes.orders import STOP
from prunner.processes.starting import FORKING, interpreter_options, starting

GRACE = 5.0  # seconds that a worker has to end by itself after it was told to
_logger = logging.getLogger("kedro.runner.prunner")


class WorkerProcess:
    """A worker process, started by this object.

    Args:
        start_method: ``loky``, ``spawn``, ``forkserver`` or ``fork``.
        setup: A pickled ``worker.WorkerSetup``.
    """

    def __init__(self, start_method: str, setup: bytes) -> None:
        self._setup = setup
        self._crash_file = crash_file()
        self._inbox: queue.SimpleQueue[Any] | None = None
        self._number = -1
        self._unheard: list[Any] = []
        self._hearing = threading.Lock()
        self._said_ready = threading.Event()
        self._files: dict[str, Stamp] = {}
        self._has_been_ready = self._has_failed = self._is_clean = False
        self._ending = self._stopping = False
        self._ender: threading.Thread | None = None
        self._start(start_method)
        self._reader = threading.Thread(target=self._read, name="prunner-reader", daemon=True)
        self._reader.start()

    def _start(self, start_method: str) -> None:
        mine, theirs = links.connect()
        my_orders, their_orders = links.one_way()
        self._link, self._orders = Link(mine), Link(my_orders)
        self._executor = ProcessPoolExecutor(
            max_workers=1,
            context=multiprocessing.get_context(start_method),
            initializer=worker.initialize,
            initargs=(theirs, their_orders, self._setup, str(self._crash_file)),
            env=interpreter_options(),
        )
        with starting(start_method):
            self._future = self._executor.submit(
                worker.serve,
                start_method in FORKING,
                multiprocessing.get_start_method(allow_none=True),
            )
            self._manager: threading.Thread = self._executor._executor_manager_thread
            # When the interpreter ends, loky waits for its processes, and this one for orders. The
            # keeper ends it then, in no certain order.
            _threads_wakeups.pop(self._manager, None)
        # Held by the worker alone from now on, so that its end is the end of the stream.
        links.close(theirs)
        links.close(their_orders)
        # loky tells neither the exit code of a worker nor whether it is gone for good.
        self._process: BaseProcess = next(iter(self._executor._processes.values()))
        guard.watch(self._process.pid, self._crash_file.name)

    def serve(self, inbox: queue.SimpleQueue[Any], number: int) -> None:
        """Begin a run: from now on, what the worker says goes into its inbox.

        Args:
            inbox: Of the run.
            number: Of the worker in this run.
        """
        with self._hearing:
            self._inbox, self._number = inbox, number
            for event in self._unheard:
                inbox.put(self._addressed(event))
            self._unheard.clear()

    def end_run(self) -> None:
        """The run is over; ``wait_until_free`` tells when the worker has got there."""
        with self._hearing:
            if not self._has_been_ready:  # it is still starting, and has been told nothing
                self._inbox = None
                return
        self._said_ready.clear()
        self._ending = True
        self._orders.send(EndRun())

    def wait_until_free(self, deadline: float) -> bool:
        """Wait until nothing more of a run that was ended will be heard.

        Args:
            deadline: When to give up, by ``time.monotonic()``.

        Returns:
            Whether the worker can serve another run: no thread and no process of a node is left.
        """
        if not self._has_been_ready:
            return not self.has_ended
        said = self._said_ready.wait(max(0.0, deadline - time.monotonic()))
        # One that is being ended is nobody's, though its step has ended after all.
        return said and self._is_clean and self._ender is None and not self.has_ended

    def end_stuck(self) -> None:
        """End the process in the middle of what it does, and let it write where it was."""
        self._ender = threading.Thread(target=self._end_stuck, name="prunner-end", daemon=True)
        self._ender.start()

    def _end_stuck(self) -> None:
        pid = self._process.pid
        if pid is not None and not ask_for_stacks(pid):
            self._orders.send(WriteStacks())
        wait_for_stacks(self._crash_file)
        tree.kill(self._process)

    @property
    def pid(self) -> int | None:
        """The id of the process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """True if there is no such process any more, or it has not been able to start."""
        return self._has_failed or bool(self._future.done())

    @property
    def can_serve(self) -> bool:
        """True if the worker is there, and its code is what is on disk."""
        return not self.has_ended and are_unchanged(self._files)

    def order(self, message: Any) -> bool:
        """Tell the worker what to do; its end, if it is gone, is reported to the inbox.

        Returns:
            False if it certainly does not hear of it.
        """
        return self._orders.send(message)

    def answer(self, message: Any) -> None:
        """Answer the hook call for which the worker waits."""
        self._link.send(message)

    def _read(self) -> None:
        try:
            self._listen()
        except EOFError:
            pass
        except Exception:  # what has come is no message: something else writes into the pipe
            _logger.exception("Worker process %s sends what cannot be understood.", self.pid)
            tree.kill(self._process)
        if not self._stopping:
            wait_for([self._future], timeout=GRACE)
            tree.kill_left_by({self._crash_file.name})
            frames = read_crash(self._crash_file)
            self._hear(WorkerGone(-1, self._process.pid, self._process.exitcode, frames))
        self._said_ready.set()

    def _listen(self) -> None:
        while True:
            message = self._link.receive()
            match message:
                case Ready():
                    self._note_ready(message)
                case _:
                    self._has_failed |= isinstance(message, StartFailed)
                    self._hear(message)

    def _note_ready(self, message: Ready) -> None:
        self._files.update(message.files)
        self._is_clean = message.clean
        with self._hearing:  # at once: the run may end at this moment
            self._has_been_ready = True
            if self._ending:
                self._ending = False
                self._inbox = None  # the next run will hear of it
            self._deliver(message)
        self._said_ready.set()

    def _hear(self, event: Any) -> None:
        with self._hearing:
            self._deliver(event)

    def _deliver(self, event: Any) -> None:
        if self._inbox is None:
            self._unheard.append(event)
        else:
            self._inbox.put(self._addressed(event))

    def _addressed(self, event: Any) -> Any:
        if isinstance(event, WorkerGone):
            return event._replace(worker=self._number)
        return FromWorker(self._number, event)


def stop_all(workers: Iterable[WorkerProcess], *, kill: bool = False) -> None:
    """End workers, with their own child processes, and wait until they are gone.

    Args:
        workers: The workers.
        kill: Whether to end them at once, also in the middle of a step.
    """
    stopping = list(workers)
    asked = []
    for each in stopping:
        each._stopping = True
        # Who is still starting has done nothing yet, and would not listen before it has started.
        if not kill and each._has_been_ready:
            each._orders.send(STOP)
            asked.append(each._future)
    wait_for(asked, timeout=GRACE)
    for each in stopping:
        if not each._future.done():
            tree.kill(each._process)
        each._executor.shutdown(wait=False)
    if kill:
        tree.kill_left_by({each._crash_file.name for each in stopping})
    deadline = time.monotonic() + GRACE
    for each in stopping:
        _join(each, deadline)


def _join(each: WorkerProcess, deadline: float) -> None:
    each._manager.join(max(0.0, deadline - time.monotonic()))
    if each._manager.is_alive():  # something keeps the process from exiting
        tree.kill(each._process)
        # A process that a node started and let go may hold loky's pipe for as long as it likes;
        # nobody waits for it.
        each._manager.join(GRACE)
    # loky forgets a process that it has killed or found dead: its pipe would stay open, till this
    # process starts another one.
    each._process.join(max(0.0, deadline - time.monotonic()))
    each._reader.join(GRACE)
    if each._ender is not None:
        each._ender.join(GRACE)
    each._link.close()
    each._orders.close()
    each._crash_file.unlink(missing_ok=True)
    guard.forget(each._process.pid)
