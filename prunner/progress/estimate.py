"""How long a run will still take. Pure: no clock, no terminal.

What is known of durations comes from earlier runs, and from what steps with the same function took
in this one. Where too little is known, nothing is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from prunner.planning.plan import RunPlan

_LEAST_DONE = 3  # steps, before those of which nothing is known are taken to be like them
_LEAST_PART = 0.1  # of all steps, for the same
_WEIGHT = 0.5  # of a new estimate against what was said before
_CALM = 1.0  # seconds between two estimates
_PATIENCE = 200  # times longer than an estimate takes to make


def durations(plan: RunPlan, taken: Mapping[int, float]) -> dict[int, float] | None:
    """How long each step takes that has not been done, as far as is to be expected.

    Args:
        plan: The plan of the run.
        taken: How long steps of this run took.

    Returns:
        The seconds of each step; ``None`` where too little is known.
    """
    by_function: defaultdict[int, list[float]] = defaultdict(list)
    for index, seconds in taken.items():
        by_function[plan.steps[index].function].append(seconds)
    alike = {function: sum(all_) / len(all_) for function, all_ in by_function.items()}
    enough = len(taken) >= max(_LEAST_DONE, _LEAST_PART * len(plan.steps))
    usual = sum(taken.values()) / len(taken) if enough else None
    expected = {}
    for step in plan.steps:
        if step.index not in taken:
            seconds_ = plan.seconds.get(step.index, alike.get(step.function, usual))
            if seconds_ is None:
                return None
            expected[step.index] = seconds_
    return expected


def seconds_left(
    plan: RunPlan,
    expected: Mapping[int, float],
    ended: Collection[int],
    running: Mapping[int, float],
    workers: int,
) -> float:
    """How long a run will still take at least.

    Args:
        plan: The plan of the run.
        expected: How long each step takes that has not ended.
        ended: Steps that are done, or will not run.
        running: For each step that runs: since how many seconds.
        workers: How many there are.

    Returns:
        The longest of three: what is left on the longest path, what each worker has to do if they
        share it well, and what is to be done in the main process, one step after the other.
    """
    here, elsewhere = 0.0, 0.0
    ends: dict[int, float] = {}
    for step in plan.steps:
        if step.index in ended:
            continue
        left = max(0.0, expected[step.index] - running.get(step.index, 0.0))
        ends[step.index] = left + max((ends.get(each, 0.0) for each in step.parents), default=0.0)
        if step.index in plan.pinned:
            here += left
        else:
            elsewhere += left
    return max([here, elsewhere / max(1, workers), *ends.values()])


class Expectation:
    """When a run is expected to end, said calmly: a new estimate moves it only in part."""

    def __init__(self) -> None:
        self._end: float | None = None
        self._due = 0.0

    def is_due(self, now: float) -> bool:
        """Whether it is time for a new estimate."""
        return now >= self._due

    def note(self, left: float | None, now: float, cost: float) -> None:
        """Take a new estimate.

        Args:
            left: Seconds; ``None`` if too little is known.
            now: The time.
            cost: How long it took to make it: what is costly is made less often.
        """
        self._due = now + max(_CALM, _PATIENCE * cost)
        if left is None or self._end is None:
            self._end = None if left is None else now + left
        else:
            self._end += _WEIGHT * (now + left - self._end)

    def left(self, now: float) -> float | None:
        """Seconds until the expected end; ``None`` if nothing can be said, or it has passed."""
        return None if self._end is None or self._end < now else self._end - now
