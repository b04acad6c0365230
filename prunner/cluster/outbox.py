"""In a worker: what is to be said to the client, in order.

It goes with Dask's own stream to the scheduler, and from there to the client: workers need not
reach the client, and what is said of a step arrives before its end does.
"""

from __future__ import annotations

import pickle
import threading
import time
from typing import TYPE_CHECKING, Any

from prunner.cluster.messages import Post

if TYPE_CHECKING:
    from distributed import Worker

_LATEST = 0.05  # seconds that a message may wait for others
_JUST = 0.02  # seconds; a message costs as much as a trivial node
_MOST = 1 << 20  # bytes that wait; about
_RECORD = 1_000  # bytes of a message; about


class Outbox:
    """What this process says of one run.

    Args:
        worker: Dask's.
        topic: To whom.
    """

    def __init__(self, worker: Worker, topic: str) -> None:
        self._worker = worker
        self._topic = topic
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Any]] = []
        self._is_due = False
        self._sent = 0.0

    def add(self, message: Any, thread: int | None = None) -> None:
        """Say something soon.

        Args:
            message: Anything of ``messages``.
            thread: Which thread it is about, if not this one.
        """
        with self._lock:
            self._waiting.append((thread or threading.get_ident(), message))
            if len(self._waiting) * _RECORD >= _MOST:
                self._send()
            elif not self._is_due:
                self._is_due = True
                self._worker.loop.add_callback(self._worker.loop.call_later, _LATEST, self._is_up)

    def flush(self) -> None:
        """Say now what waits."""
        with self._lock:
            self._send()

    def flush_unless_busy(self) -> None:
        """Say now what waits; if something has just been said, a moment later with what follows."""
        with self._lock:
            if time.monotonic() - self._sent >= _JUST:
                self._send()

    def _is_up(self) -> None:
        # A flush in between leaves the timer as it is: each new one would wake the event loop.
        with self._lock:
            self._is_due = False
            self._send()

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            post = Post(time.time(), tuple(waiting))
            # Within the lock: two threads that send must not overtake each other.
            self._sent = time.monotonic()
            self._worker.log_event(self._topic, {"post": pickle.dumps(tuple(post), 5)})
