"""Shows how far a run is, a few times in a second, on a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from prunner.journal import Journal
from prunner.progress.estimate import Expectation, durations, seconds_left
from prunner.progress.snapshot import Snapshot, Standing, running_seconds, take
from prunner.progress.terminal import Terminal

_INTERVAL = 1 / 3  # seconds between two drawings

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def shown(
    terminal: Terminal | None, scheduler: Standing, journal: Journal, workers: int
) -> Iterator[None]:
    """Within this context a run is shown on a terminal; nothing of that is left afterwards.

    Args:
        terminal: The terminal; ``None`` if there is none.
        scheduler: Knows what runs.
        journal: Knows since when.
        workers: How many there are.
    """
    if terminal is None:
        yield
        return
    display = _Display(terminal, scheduler, journal, workers)
    thread = threading.Thread(target=display.run, name="prunner-progress", daemon=True)
    with terminal.taken():
        thread.start()
        try:
            yield
        finally:
            display.end.set()
            thread.join()


class _Display:
    def __init__(
        self, terminal: Terminal, scheduler: Standing, journal: Journal, workers: int
    ) -> None:
        self.end = threading.Event()
        self._terminal = terminal
        self._scheduler = scheduler
        self._journal = journal
        self._workers = workers
        self._began = time.time()
        self._expectation = Expectation()

    def run(self) -> None:
        """Draw until it is told to end."""
        from prunner.progress.drawing import draw

        try:
            while not self.end.wait(_INTERVAL):
                self._terminal.screen.show(draw(self._look(), self._terminal.console))
        except Exception:  # whatever happens to a terminal is no matter of the run
            logger.debug("The progress is not shown any more.", exc_info=True)

    def _look(self) -> Snapshot:
        now = time.time()
        running = running_seconds(self._scheduler, self._journal, now)
        if self._expectation.is_due(now):
            began = time.perf_counter()
            left = self._estimate(running)
            self._expectation.note(left, now, time.perf_counter() - began)
        left = self._expectation.left(now)
        return take(self._scheduler, self._journal, running, max(0.0, now - self._began), left)

    def _estimate(self, running: dict[int, float]) -> float | None:
        scheduler, plan = self._scheduler, self._scheduler.plan
        if scheduler.stopping:
            return None  # what runs goes on to its end, and nothing else
        expected = durations(plan, self._journal.seconds())
        if expected is None:
            return None
        ended = scheduler.done | scheduler.failed | scheduler.skipped
        return seconds_left(plan, expected, ended, running, self._workers)
