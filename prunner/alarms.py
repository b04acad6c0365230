"""What is due when: a queue of events by time. Pure: it reads no clock."""

from __future__ import annotations

import heapq
import itertools
from typing import Any


class Alarms:
    """Events that are to be handled at some time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Any]] = []
        self._numbers = (
            itertools.count()
        )  # events of one time are due in the order of their setting

    def set(self, at: float, event: Any) -> None:
        """Let an event be due at a time, in seconds of the caller's clock."""
        heapq.heappush(self._heap, (at, next(self._numbers), event))

    @property
    def next(self) -> float | None:
        """When the next event is due; ``None`` if there is none."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Any]:
        """Take out the events that are due."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            found.append(heapq.heappop(self._heap)[2])
        return found
