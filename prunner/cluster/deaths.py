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
        """How many processes have ended while a step ran, as far as anybody has said so."""
        return self._counts[step]

    def is_innocent(self, step: int) -> bool:
        """True for a step that has not begun in any process that ended, while others had."""
        return not self._counts[step] and bool(self._counts)

    def of(self, step: int) -> Died | None:
        """The last death while a step ran; ``None`` if nobody has said anything of one."""
        return self._last.get(step)
