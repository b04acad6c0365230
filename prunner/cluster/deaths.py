"""Which steps ran in worker processes that have ended, as far as anybody can tell. Pure."""

from __future__ import annotations

from collections import Counter

from prunner.cluster.messages import Died


class Deaths:
    """The deaths of a run."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._last: dict[int, Died] = {}

    def note(self, died: Died) -> None:
        """A process has ended while it ran steps."""
        self._counts.update(died.steps)
        self._last.update(dict.fromkeys(died.steps, died))

    def count(self, step: int) -> int:
        """Count one more process that a step has ended; how many that makes."""
        self._counts[step] += 1
        return self._counts[step]

    def of(self, step: int) -> Died | None:
        """The last death while a step ran; ``None`` if nobody has said anything of one."""
        return self._last.get(step)
