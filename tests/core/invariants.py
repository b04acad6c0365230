"""What always holds in a scheduler."""

from __future__ import annotations

from prunner.planning.decisions import PARENT
from prunner.planning.scheduler import Scheduler


def validate(it: Scheduler) -> None:
    """Check every invariant of a scheduler.

    Raises:
        AssertionError: If the state contradicts itself.
    """
    waiting = [step for worker in it.batches.workers for step in it.batches.of(worker)]
    placed = [*it.running.values(), *waiting]
    queued = [*it._for_workers, *it._for_parent]
    assert len(placed) == len(set(placed)), "a step runs twice"
    assert set(placed) == set(it._place), "a step is not where it was started"
    assert not (it.done | it.failed | set(placed)) & set(queued), "a queued step has started"
    assert len(queued) == len(set(queued)), "a step is queued twice"
    assert not set(it._idle) & set(it.running), "a worker is idle and busy"
    assert set(it.batches.workers) <= set(it.running), "a step waits behind nothing"
    for index in {*it.done, *it.failed, *queued, *it.running.values()}:
        assert it.plan.steps[index].parents <= it.done, "a step came before its parent"
    for worker in it.batches.workers:
        before = it.done | {it.running[worker]}
        for index in it.batches.of(worker):
            assert it.plan.steps[index].parents <= before, "a step came before its parent"
            before.add(index)
    for worker, index in it.running.items():
        assert (worker == PARENT) == (index in it.pinned), "a step runs in the wrong place"
    assert not it.pinned & set(waiting), "a step waits in the wrong place"
    assert all(n >= 0 for n in it._needs.loads_left.values()), "released too early"
    alone = it._alone is not None or it._to_be_alone - it.waiting
    if it._open and not it.stopping and not alone and not it.is_holding:
        assert not (it._idle and it._for_workers), "a worker idles though work is ready"
