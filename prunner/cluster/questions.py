"""In a worker: what is asked of the client, by threads that wait for the answer."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any

from prunner.cluster.outbox import Outbox

_GLANCE = 1.0  # seconds between two looks at whether anybody is left who would answer


class AbandonedError(Exception):
    """The run has ended while the step went on: by an interrupt, or with its client."""


class Questions:
    """What this process asks about one run.

    Args:
        outbox: Takes the questions.
        is_over: Tells whether nobody will answer a thread.
    """

    def __init__(self, outbox: Outbox, is_over: Callable[[int], bool]) -> None:
        self._outbox = outbox
        self._is_over = is_over
        self._numbers = itertools.count()
        self._open: dict[int, queue.SimpleQueue[Any]] = {}

    def ask(self, make: Callable[[int], Any], thread: int | None = None) -> Any:
        """Ask something, and wait.

        Args:
            make: Makes the message, given the number of the question.
            thread: Which thread it is about, if not this one.

        Returns:
            The answer.

        Raises:
            AbandonedError: If nobody will answer any more.
        """
        number = next(self._numbers)
        box = self._open[number] = queue.SimpleQueue()
        self._outbox.add(make(number), thread)
        self._outbox.flush()
        try:
            while True:
                with contextlib.suppress(queue.Empty):
                    return box.get(timeout=_GLANCE)
                if self._is_over(thread or threading.get_ident()):
                    raise AbandonedError
        finally:
            del self._open[number]

    def answer(self, number: int, answer: Any) -> None:
        """Hand an answer to whoever waits for it."""
        box = self._open.get(number)
        if box is not None:
            box.put(answer)
