"""What there is to be shown of a run at one moment. Pure: the time is given."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from prunner.journal import Journal
from prunner.planning.plan import RunPlan


class Standing(Protocol):
    """What has become of the steps of a run; a ``Scheduler``, or a ``ClusterState``.

    Attributes:
        plan: The plan of the run.
        running: The steps that run, by their worker.
        done: Those that have ended well.
        failed: Those that have failed for good.
        skipped: Those that will not run because of these.
        stopping: Whether nothing more will start.
    """

    plan: RunPlan
    running: dict[int, int]
    done: set[int]
    failed: set[int]
    skipped: set[int]
    stopping: bool

    @property
    def waiting(self) -> Collection[int]:
        """Those that will be tried again."""


class Running(NamedTuple):
    """A node that runs.

    Attributes:
        name: Its name.
        seconds: Since when.
        tries: How often it has failed before.
    """

    name: str
    seconds: float
    tries: int = 0


class Snapshot(NamedTuple):
    """How far a run is.

    Attributes:
        running: The nodes that run, the one that began first at the head.
        done: How many nodes have ended well.
        total: How many there are.
        elapsed: Seconds since the run began.
        failed: How many have failed for good.
        skipped: How many will not run because of these.
        retrying: How many have failed and are tried again.
        left: Seconds until the end, if anything can be said of it.
        used: Bytes that the workers use, if anybody has looked.
        free: Bytes that they could still get.
    """

    running: tuple[Running, ...]
    done: int
    total: int
    elapsed: float
    failed: int = 0
    skipped: int = 0
    retrying: int = 0
    left: float | None = None
    used: int | None = None
    free: int | None = None


def running_seconds(scheduler: Standing, journal: Journal, now: float) -> dict[int, float]:
    """For each step that runs: since how many seconds, the longest first.

    Args:
        scheduler: Knows what runs; another thread may change that meanwhile.
        journal: Knows since when.
        now: Seconds since the epoch.
    """
    began = {step: journal.since(worker, step) for worker, step in dict(scheduler.running).items()}
    in_order = sorted(began, key=lambda step: (began[step], step))
    return {step: max(0.0, now - began[step]) for step in in_order}


def take(
    scheduler: Standing,
    journal: Journal,
    running: dict[int, float],
    elapsed: float,
    left: float | None,
) -> Snapshot:
    """Look at a run.

    Args:
        scheduler: Its scheduler; another thread may change it meanwhile.
        journal: Its journal, for which the same holds.
        running: For each step that runs: since how many seconds.
        elapsed: Seconds since it began.
        left: Seconds until its expected end.
    """
    steps, seen = scheduler.plan.steps, journal.seen_last
    failures = {step: len(journal.attempts.get(step, ())) for step in running}
    return Snapshot(
        running=tuple(
            Running(steps[step].name, seconds, failures[step]) for step, seconds in running.items()
        ),
        done=len(scheduler.done),
        total=len(steps),
        elapsed=elapsed,
        failed=len(scheduler.failed),
        skipped=len(scheduler.skipped),
        retrying=len(scheduler.waiting) + sum(map(bool, failures.values())),
        left=left,
        used=sum(seen.used.values()) if seen else None,
        free=seen.free if seen else None,
    )
