"""In a worker: the time that a try of a step may take.

A thread cannot be stopped. When the time is up, the client is told where the node was, decides what
follows, and lets the process end itself; Dask starts another one and does again what was lost.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from prunner.cluster.messages import Overdue, StepPart
from prunner.cluster.questions import AbandonedError

if TYPE_CHECKING:
    from prunner.cluster.steps import WorkerRun

EXIT_CODE = 75  # of a process that was ended since a step took too long; EX_TEMPFAIL


class Deadline:
    """Watches one try.

    Args:
        run: The run.
        part: The step.
    """

    def __init__(self, run: WorkerRun, part: StepPart) -> None:
        self._run = run
        self._step = part.step
        self._left = part.policy.timeout
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._since = 0.0

    def __enter__(self) -> Deadline:
        self._go_on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._pause()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within this context the time stands still: a hook in the client runs."""
        self._pause()
        try:
            yield
        finally:
            self._go_on()

    def _go_on(self) -> None:
        if self._left is not None:
            with self._lock:
                self._since = monotonic()
                self._timer = threading.Timer(self._left, self._is_up, (self._since,))
                self._timer.daemon = True
                self._timer.start()

    def _pause(self) -> None:
        with self._lock:
            if self._timer is not None and self._left is not None:
                self._timer.cancel()
                self._timer = None
                self._left = max(0.0, self._left - (monotonic() - self._since))

    def _is_up(self, since: float) -> None:
        with self._lock:
            if self._timer is None or since != self._since:
                return
        frames = _frames(self._thread)
        with suppress(AbandonedError):
            self._run.questions.ask(
                lambda number: Overdue(number, self._step, os.getpid(), frames), self._thread
            )
        os._exit(EXIT_CODE)


def _frames(thread: int) -> str:
    """What a thread of this process is doing."""
    frame = sys._current_frames().get(thread)
    return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip()
