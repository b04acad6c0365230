"""The steps that could start now, the most urgent first. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator

# What comes first is the smallest: the longest way to an end of the pipeline, then the step after
# which most memory is free, then the order of the pipeline.
_Key = tuple[float, int, int]


class ReadyQueue:
    """A priority queue of steps whose priority may still change."""

    def __init__(self) -> None:
        self._heap: list[_Key] = []
        self._keys: dict[int, _Key] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, step: int) -> bool:
        return step in self._keys

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def push(self, step: int, rank: float, frees: int = 0) -> None:
        """Add a step, or change its priority.

        Args:
            step: The step.
            rank: How long the way is from its beginning to an end of the pipeline.
            frees: Bytes of data that nobody needs any more when it is done.
        """
        key = (-rank, -frees, step)
        if self._keys.get(step) != key:
            self._keys[step] = key
            heapq.heappush(self._heap, key)

    def first(self) -> int | None:
        """The most urgent step, ``None`` if there is none."""
        while self._heap and self._keys.get(self._heap[0][2]) != self._heap[0]:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def pop(self) -> int:
        """Take out the most urgent step.

        Raises:
            IndexError: If there is none.
        """
        step = self.first()
        if step is None:
            raise IndexError("no step is ready")
        heapq.heappop(self._heap)
        del self._keys[step]
        return step

    def take(self, steps: Collection[int]) -> list[int]:
        """Take out those of these steps that are in the queue."""
        found = [step for step in steps if self._keys.pop(step, None) is not None]
        return found
