"""What has happened to the steps of a run on a cluster, and what can go out next. Pure.

Dask decides which step runs where and when. This knows what Dask cannot: steps that stay in the
main process, and what waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prunner.planning.decisions import PARENT, GiveUp, Release, Start
from prunner.planning.memory import Needs
from prunner.planning.plan import RunPlan


@dataclass(frozen=True, slots=True)
class Submit:
    """These steps go out to the cluster; all that they wait for has gone out, or has ended."""

    steps: tuple[int, ...]


ClusterDecision = Submit | Start | Release | GiveUp


class ClusterState:
    """The state of a run.

    Args:
        plan: The plan of the run.
        keep_going: Whether steps that do not depend on a failed one are still run.

    Attributes:
        plan: The plan.
        running: The steps that run, by their worker; those in the main process by ``PARENT``.
        submitted: The steps that have gone out.
        done: Those that have ended well.
        failed: Those that have failed for good.
        skipped: Those that will not run because of these.
        waiting: Those that will be tried again.
        stopping: Whether nothing more will start.
    """

    def __init__(self, plan: RunPlan, keep_going: bool = False) -> None:
        self.plan = plan
        self.running: dict[int, int] = {}
        self.submitted: set[int] = set()
        self.done: set[int] = set()
        self.failed: set[int] = set()
        self.skipped: set[int] = set()
        self.waiting: set[int] = set()
        self.stopping = False
        self._keep_going = keep_going
        self._pinned = set(plan.pinned)
        self._here: list[int] = []  # steps that can start in the main process
        self._seen: set[int] = set()  # of these, those that have been put there
        self._needs = Needs(plan)

    @property
    def finished(self) -> bool:
        """True if nothing runs and nothing more will."""
        if self.stopping:
            return not self.running
        if not self.failed and not self.skipped:  # asked after each event: no set of all steps
            return len(self.done) == len(self.plan.steps)
        return len(self.done | self.failed | self.skipped) == len(self.plan.steps)

    def begin(self) -> list[ClusterDecision]:
        """The run begins."""
        return self._advance(range(len(self.plan.steps)))

    def is_pinned(self, step: int) -> bool:
        """True for a step that stays in the main process."""
        return step in self._pinned

    def pin(self, steps: Iterable[int]) -> None:
        """These steps have to stay in the main process; none of them has gone out."""
        self._pinned |= set(steps)

    def step_began(self, worker: int, step: int) -> None:
        """A try of a step has begun."""
        self.waiting.discard(step)
        self.forget([w for w, other in self.running.items() if other == step])  # a worker has died
        self.running[worker] = step

    def step_finished(self, step: int) -> list[ClusterDecision]:
        """A step has ended well; what a cluster has made again changes nothing."""
        self._end(step)
        if step in self.done or step in self.failed:
            return []
        self.done.add(step)
        unneeded, _ = self._needs.done(self.plan.steps[step])
        children = self.plan.steps[step].children
        return [*map(Release, unneeded), *self._advance(children)]

    def unheard_above(self, step: int) -> list[int]:
        """A step and those that it depends on, as far as nobody has said that they have ended.

        Returns:
            The steps, each one behind those that it depends on.
        """
        found: set[int] = set()
        stack = [step]
        while stack:
            each = stack.pop()
            if each not in self.done and each not in found:
                found.add(each)
                stack += self.plan.steps[each].parents
        return sorted(found)

    def step_failed(self, step: int) -> list[ClusterDecision]:
        """A step has failed for good."""
        self._end(step)
        self.failed.add(step)
        self.done.discard(step)
        skipped = self._below(step)
        self.skipped |= skipped
        self._here = [each for each in self._here if each not in skipped]
        self.stopping |= not self._keep_going
        ready = [] if self.stopping else self._next_here()
        return [GiveUp(step, tuple(sorted(skipped))), *ready]

    def step_retried(self, step: int) -> None:
        """A step has failed and will be tried again."""
        self._end(step)
        self.waiting.add(step)

    def stop(self) -> None:
        """Nothing more is to start."""
        self.stopping = True

    def forget(self, workers: Iterable[int]) -> None:
        """Workers are gone, and what ran there does not run any more."""
        for worker in workers:
            self.running.pop(worker, None)

    def _end(self, step: int) -> None:
        self.waiting.discard(step)
        # Where it runs no more, a worker may have died that could not say so.
        self.forget([worker for worker, other in self.running.items() if other == step])

    def _below(self, step: int) -> set[int]:
        """The steps that depend on one, and have not ended."""
        found: set[int] = set()
        stack = [step]
        while stack:
            for child in self.plan.steps[stack.pop()].children:
                if child not in found and child not in self.done and child not in self.failed:
                    found.add(child)
                    stack.append(child)
        return found

    def _advance(self, steps: Iterable[int]) -> list[ClusterDecision]:
        """What can go out or start now, among steps and what depends on them."""
        if self.stopping:
            return []
        batch: list[int] = []
        stack = sorted(steps, reverse=True)
        while stack:
            step = stack.pop()
            if step in self._pinned:
                if step not in self._seen and self.plan.steps[step].parents <= self.done:
                    self._seen.add(step)
                    self._here.append(step)
            elif self._may_go_out(step):
                self.submitted.add(step)
                batch.append(step)
                stack += [c for c in self.plan.steps[step].children if c not in self.submitted]
        out: list[ClusterDecision] = [Submit(tuple(batch))] if batch else []
        return out + self._next_here()

    def _may_go_out(self, step: int) -> bool:
        if step in self.submitted or step in self.skipped:
            return False
        # One by one: a union of these would be made anew for each step of a large graph.
        parents = self.plan.steps[step].parents
        return all(each in self.submitted or each in self.done for each in parents)

    def _next_here(self) -> list[ClusterDecision]:
        """The next step for the main process, which runs one after the other."""
        if PARENT in self.running or not self._here:
            return []
        step = max(self._here, key=lambda each: (self.plan.steps[each].rank, -each))
        self._here.remove(step)
        self.running[PARENT] = step
        return [Start(step, PARENT)]
