"""How long the nodes of a run would have taken in other circumstances. Pure.

The durations are those that were measured; starting workers and handing out nodes cost nothing
here. So a result is the least that a run would have taken, not what it would have taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Job:
    """A node as far as scheduling goes.

    Attributes:
        seconds: How long it took, with its failed tries.
        parents: The jobs that it depends on.
        pinned: Whether it had to run in the main process.
    """

    seconds: float
    parents: tuple[int, ...] = ()
    pinned: bool = False


Jobs = Mapping[int, Job]  # by numbers that are in topological order


def longest_path(jobs: Jobs) -> list[int]:
    """The critical path: the chain of dependent jobs that takes longest altogether."""
    reach: dict[int, float] = {}
    before: dict[int, int | None] = {}
    for each in sorted(jobs):
        above = [one for one in jobs[each].parents if one in reach]
        before[each] = max(above, key=lambda one: (reach[one], -one), default=None)
        reach[each] = jobs[each].seconds + max((reach[one] for one in above), default=0.0)
    last = max(reach, key=lambda one: (reach[one], -one), default=None)
    return list(_back(last, before))[::-1]


def _back(last: int | None, before: Mapping[int, int | None]) -> Iterator[int]:
    while last is not None:
        yield last
        last = before[last]


def makespan(jobs: Jobs, workers: int) -> float:
    """How long the jobs take with so many workers, by list scheduling.

    Whenever a worker is free, it gets the job with the longest way to an end of the graph, as
    prunner does it. Pinned jobs run one after the other beside the workers.

    Args:
        jobs: The jobs.
        workers: How many workers there are, at least 1.

    Returns:
        Seconds.
    """
    return _Simulation(jobs, workers).run()


def without_pins(jobs: Jobs) -> Jobs:
    """The same jobs, if all could run in workers."""
    return {each: replace(job, pinned=False) for each, job in jobs.items()}


def smallest_enough(jobs: Jobs, used: int, tolerance: float) -> int:
    """The smallest number of workers with which the jobs take hardly longer than with all.

    Args:
        jobs: The jobs.
        used: How many workers there were.
        tolerance: What counts as hardly longer, as a share.

    Returns:
        A number from 1 to ``used``.
    """
    limit = makespan(jobs, used) * (1 + tolerance)
    work = sum(job.seconds for job in jobs.values() if not job.pinned)
    for workers in range(1, used):
        if work <= workers * limit and makespan(jobs, workers) <= limit:
            return workers
    return used


def _children(jobs: Jobs) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {each: [] for each in jobs}
    for each, job in jobs.items():
        for parent in set(job.parents):
            if parent in jobs:
                children[parent].append(each)
    return children


def _ranks(jobs: Jobs, children: Mapping[int, Sequence[int]]) -> dict[int, float]:
    ranks: dict[int, float] = {}
    for each in sorted(jobs, reverse=True):
        ranks[each] = jobs[each].seconds + max((ranks[one] for one in children[each]), default=0.0)
    return ranks


@dataclass(slots=True)
class _Place:
    """Where jobs run: the workers, or the main process."""

    free: int
    ready: list[tuple[float, int]] = field(default_factory=list)


class _Simulation:
    def __init__(self, jobs: Jobs, workers: int) -> None:
        self._jobs = jobs
        self._children = _children(jobs)
        self._ranks = _ranks(jobs, self._children)
        self._missing = dict.fromkeys(jobs, 0)
        for children in self._children.values():
            for child in children:
                self._missing[child] += 1
        self._places = {False: _Place(workers), True: _Place(1)}
        self._running: list[tuple[float, int]] = []

    def run(self) -> float:
        now = 0.0
        for each in [one for one, number in self._missing.items() if not number]:
            self._queue(each)
        self._start(now)
        while self._running:
            now, ended = heapq.heappop(self._running)
            self._end(ended)
            if not self._running or self._running[0][0] > now:  # all that end together first
                self._start(now)
        return now

    def _queue(self, job: int) -> None:
        place = self._places[self._jobs[job].pinned]
        heapq.heappush(place.ready, (-self._ranks[job], job))

    def _start(self, now: float) -> None:
        for place in self._places.values():
            while place.free and place.ready:
                _, job = heapq.heappop(place.ready)
                place.free -= 1
                heapq.heappush(self._running, (now + self._jobs[job].seconds, job))

    def _end(self, job: int) -> None:
        self._places[self._jobs[job].pinned].free += 1
        for child in self._children[job]:
            self._missing[child] -= 1
            if not self._missing[child]:
                self._queue(child)
