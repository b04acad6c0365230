"""What happened to the steps of a run, and when. Pure: it reads no clock of its own.

The dispatcher writes it, and whoever shows how far the run is reads it from another thread; it is
complete when the run has ended. All times are seconds since the epoch.

Covers: tries of steps, sizes of in-memory data, what was seen of memory. Does not cover: what is
made of that (``sessions.tracing``, ``progress``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from prunner.bridge.messages import MemorySeen
from prunner.bridge.phases import StepTimes

_MOST_SAMPLES = 500  # of memory; then every other one is left out


class Ended(Protocol):
    """What is said of a step that has ended, by whom it was run."""

    @property
    def step(self) -> int:
        """Which one."""

    @property
    def seconds(self) -> float | None:
        """How long it took."""

    @property
    def times(self) -> StepTimes | None:
        """How long its parts took."""


class Attempt(NamedTuple):
    """A try of a step that has ended.

    Attributes:
        worker: Where it ran; -1 for the main process.
        started: When it began.
        ended: When it ended.
        failed: Whether it failed.
        times: How long its parts took, as far as that is known.
    """

    worker: int
    started: float
    ended: float
    failed: bool
    times: StepTimes | None


class Sample(NamedTuple):
    """What was seen of memory.

    Attributes:
        at: When.
        free: Bytes that processes could still get.
        used: Bytes that each worker had for itself, by its number.
    """

    at: float
    free: int
    used: Mapping[int, int]


class Journal:
    """The journal of a run.

    Attributes:
        attempts: The tries of each step, the last one at the end.
        sizes: Bytes of in-memory datasets by their names.
        samples: What was seen of memory, at most some hundred times.
        seen_last: What was seen of it last.
        memory_total: All the memory that there is; ``None`` if nobody has looked.
    """

    def __init__(self) -> None:
        self.attempts: defaultdict[int, list[Attempt]] = defaultdict(list)
        self.sizes: dict[str, int] = {}
        self.samples: list[Sample] = []
        self.seen_last: Sample | None = None
        self.memory_total: int | None = None
        self._ordered: dict[int, float] = {}
        self._free_since: dict[int, float] = {}  # by worker
        self._every, self._seen = 1, 0

    def order(self, step: int, at: float) -> None:
        """A worker has been told to run a step, behind what it has to do already.

        Args:
            step: Which one.
            at: When.
        """
        self._ordered[step] = at

    def since(self, worker: int, step: int) -> float:
        """When a step that runs on a worker has begun, as far as is known here."""
        return max(self._ordered.get(step, 0.0), self._free_since.get(worker, 0.0))

    def end(self, worker: int, ended: Ended, at: float, *, failed: bool = False) -> None:
        """A step has ended.

        Args:
            worker: Where.
            ended: What is said of it.
            at: When that is heard of.
            failed: Whether it failed.
        """
        started, end = self.since(worker, ended.step), at
        if ended.seconds is not None:
            # What is heard late, since this process was busy, has begun and ended as it says.
            started = at - ended.seconds if ended.times is None else ended.times.began
            end = started + ended.seconds
        self._add(ended.step, Attempt(worker, started, end, failed, ended.times))

    def die(self, worker: int, step: int, at: float) -> None:
        """A worker has ended while it ran a step.

        Args:
            worker: Which one.
            step: The step.
            at: When that was noticed.
        """
        self._add(step, Attempt(worker, self.since(worker, step), at, True, None))

    def _add(self, step: int, attempt: Attempt) -> None:
        self._free_since[attempt.worker] = attempt.ended
        self.attempts[step].append(attempt)

    def see(self, seen: MemorySeen, at: float) -> None:
        """Somebody has looked at memory.

        Args:
            seen: What.
            at: When.
        """
        self.memory_total = seen.total
        self.seen_last = Sample(at, seen.free, dict(seen.used))
        if self._seen % self._every == 0:
            self.samples.append(self.seen_last)
        self._seen += 1
        if len(self.samples) > _MOST_SAMPLES:
            del self.samples[1::2]
            self._every *= 2

    def seconds(self) -> dict[int, float]:
        """How long each step took that has ended well."""
        # A copy, since another thread may ask while the run goes on.
        last = {step: tries[-1] for step, tries in self.attempts.copy().items() if tries}
        return {step: try_.ended - try_.started for step, try_ in last.items() if not try_.failed}
