"""Short steps that wait on a worker behind the one that runs there. Pure.

To ask the parent between two steps takes longer than a trivial step itself. So a worker is told of
several at once, if they are known to be short: by an earlier run, or by the time that other steps
with the same function have taken in this one. Nothing waits behind a step that is long or unknown.

Covers: which steps wait where, and which one comes next there. Does not cover: whether a step may
start at all (``scheduler``).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from heapq import heappop, heappush

from prunner.planning.estimates import Estimates
from prunner.planning.plan import RunPlan

BATCH_SECONDS = 0.005  # that the steps of one batch take together, as far as is known
SHORT_SECONDS = BATCH_SECONDS / 2  # a step that takes no longer may be in a batch
_LEAST_SECONDS = 20e-6  # no step takes less
_MOST_STEPS = 64


class Batches:
    """The steps that wait behind others.

    Args:
        plan: The plan of the run.

    Attributes:
        estimates: What is known of durations.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.estimates = Estimates(plan)
        self._plan = plan
        self._behind: defaultdict[int, deque[int]] = defaultdict(deque)
        self._refill_at: dict[int, int] = {}
        # Of each step, how many of its parents a worker has and has not finished yet.
        self._parents_here: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._followers: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)

    def of(self, worker: int) -> tuple[int, ...]:
        """The steps that wait on a worker, in order."""
        return tuple(self._behind.get(worker, ()))

    @property
    def workers(self) -> list[int]:
        """The workers on which steps wait."""
        return [worker for worker, steps in self._behind.items() if steps]

    def append(self, worker: int, step: int) -> None:
        """Let a step wait behind all others on a worker."""
        self._behind[worker].append(step)

    def next(self, worker: int) -> int | None:
        """Take the step that a worker has begun now, ``None`` if none waits there."""
        behind = self._behind.get(worker)
        return behind.popleft() if behind else None

    def remove(self, worker: int, steps: Collection[int]) -> None:
        """These steps do not wait there any more."""
        kept = [step for step in self._behind.get(worker, ()) if step not in steps]
        self._behind[worker] = deque(kept)

    def parent_placed(self, step: int, worker: int, missing: Sequence[int]) -> None:
        """A worker has got a step; its children may follow it there.

        Args:
            step: The step.
            worker: The worker.
            missing: How many parents of each step have not finished yet.
        """
        for child in self._plan.steps[step].children:
            self._parents_here[child, worker] += 1
            if self._parents_here[child, worker] == missing[child]:
                heappush(self._followers[worker], (-self._plan.steps[child].rank, child))

    def parent_left(self, step: int, worker: int) -> None:
        """A step has ended on a worker, or was taken back from it."""
        for child in self._plan.steps[step].children:
            self._parents_here[child, worker] -= 1
            if not self._parents_here[child, worker]:
                del self._parents_here[child, worker]

    def follower(
        self, worker: int, missing: Sequence[int], may_follow: Callable[[int], bool]
    ) -> int | None:
        """The most urgent step all of whose missing parents that worker has.

        Args:
            worker: The worker.
            missing: How many parents of each step have not finished yet.
            may_follow: Tells whether a step may be started at all.

        Returns:
            The step, which is not taken out; ``None`` if there is none.
        """
        followers = self._followers.get(worker)
        while followers:
            child = followers[0][1]
            if self._parents_here.get((child, worker)) == missing[child] and may_follow(child):
                return child
            heappop(followers)
        return None

    def room(self, worker: int, running: int) -> float:
        """How many seconds a batch on a worker may get longer.

        Args:
            worker: The worker.
            running: The step that runs there.

        Returns:
            0.0 where nothing more may wait, or enough does already.
        """
        behind = self._behind[worker]
        if len(behind) > self._refill_at.get(worker, 0) or self.seconds(running) is None:
            return 0.0
        return BATCH_SECONDS - sum(self.seconds(step) or 0.0 for step in behind)

    def filled(self, worker: int) -> None:
        """A worker has got what it gets now: it gets more when half of that is done."""
        self._refill_at[worker] = min(len(self._behind[worker]), _MOST_STEPS) // 2

    def seconds(self, step: int) -> float | None:
        """How long a short step takes; ``None`` for one that is long or unknown."""
        estimate = self.estimates.of(step)
        if estimate is None or estimate > SHORT_SECONDS:
            return None
        return estimate if estimate > _LEAST_SECONDS else _LEAST_SECONDS

    def is_full(self, worker: int) -> bool:
        """True if no more steps may wait on a worker, however short they are."""
        return len(self._behind[worker]) >= _MOST_STEPS
