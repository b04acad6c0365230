from __future__ import annotations

import dataclasses

import pytest

from prunner.planning.admission import MOST_LOOKS
from prunner.planning.decisions import GiveUp, Hold, Start
from prunner.planning.policy import MemoryPolicy, RunPolicy
from prunner.planning.scheduler import Scheduler
from tests.core.invariants import validate
from tests.core.test_scheduler import independent, plan_of

TOTAL = 1000  # of which 50 are nobody's


def scheduler_of(steps=3, needs=None, workers=2, plan=None, **memory):
    plan = dataclasses.replace(plan or independent(steps), needs=needs or {})
    scheduler = Scheduler(plan, RunPolicy(memory=MemoryPolicy(**memory)))
    scheduler.memory_seen(TOTAL, TOTAL, {})
    for worker in range(workers):
        scheduler.worker_ready(worker)
    return scheduler


def ready(scheduler):
    """What two more workers lead to."""
    return [d for worker in (10, 11) for d in scheduler.worker_ready(worker)]


def test_a_step_for_which_there_is_no_memory_waits_for_one_that_runs():
    scheduler = scheduler_of(2, {0: 600, 1: 600}, workers=0)
    assert ready(scheduler) == [Start(0, 10), Hold(1, 600, 950, False)]
    assert scheduler.is_holding
    validate(scheduler)
    assert scheduler.memory_seen(TOTAL, TOTAL, {10: 0}) == []
    assert scheduler.step_finished(0) == [Start(1, 10)]
    assert not scheduler.is_holding


def test_it_starts_as_soon_as_there_is_memory():
    scheduler = scheduler_of(2, {0: 100, 1: 600}, workers=0)
    scheduler.memory_seen(500, TOTAL, {})
    assert ready(scheduler) == [Start(0, 10), Hold(1, 600, 450, False)]
    assert scheduler.memory_seen(745, TOTAL, {10: 0}) == []
    assert scheduler.memory_seen(750, TOTAL, {10: 0}) == [Start(1, 11)]


def test_what_a_step_has_taken_already_is_not_promised_to_it():
    scheduler = scheduler_of(2, {0: 500, 1: 400}, workers=0)
    scheduler.memory_seen(TOTAL, TOTAL, {10: 50})
    scheduler.memory_seen(800, TOTAL, {10: 50})
    assert ready(scheduler) == [Start(0, 10), Hold(1, 400, 750, False)]
    # It has taken 300 of its 500: of the 500 that are left, 200 and the reserve are not free.
    assert scheduler.memory_seen(500, TOTAL, {10: 350}) == []
    assert scheduler.memory_seen(650, TOTAL, {10: 350}) == [Start(1, 11)]


def test_one_step_always_runs():
    scheduler = scheduler_of(2, {0: 10**9, 1: 10**9}, workers=0)
    scheduler.memory_seen(0, TOTAL, {})
    assert ready(scheduler)[0] == Start(0, 10)
    assert scheduler.step_finished(0) == [Start(1, 10)]


def test_beside_the_parents_step_one_step_of_a_worker_runs():
    plan = plan_of([(["raw"], ["a"]), (["raw"], ["b"])], pinned=[0])
    scheduler = scheduler_of(plan=plan, needs={1: 10**9}, workers=0)
    assert scheduler.worker_ready(0) == [Start(0, -1), Start(1, 0)]


def test_a_step_of_which_nothing_is_known_waits_for_a_while_when_there_is_nothing_left():
    scheduler = scheduler_of(2, workers=0)
    scheduler.memory_seen(50, TOTAL, {})
    assert ready(scheduler) == [Start(0, 10), Hold(1, None, 0, False)]
    for _ in range(MOST_LOOKS - 1):
        assert scheduler.memory_seen(50, TOTAL, {10: 0}) == []
    assert scheduler.memory_seen(50, TOTAL, {10: 0}) == [Start(1, 11)]


def test_a_step_of_which_nothing_is_known_does_not_wait_while_something_is_left():
    scheduler = scheduler_of(2, workers=0)
    scheduler.memory_seen(51, TOTAL, {})
    assert ready(scheduler) == [Start(0, 10), Start(1, 11)]


def test_a_step_that_lets_go_of_data_goes_first_where_memory_is_scarce():
    plan = plan_of(
        [([], ["a"]), ([], ["b"]), ([], ["c"]), (["a"], ["d"]), (["c"], ["e"]), (["b"], ["f"])]
    )
    scheduler = scheduler_of(plan=plan, needs={1: 300, 2: 600, 3: 100}, workers=0)
    assert scheduler.worker_ready(0) == [Start(0, 0)]
    assert scheduler.worker_ready(1) == [Start(1, 1)]
    scheduler.memory_seen(750, TOTAL, {0: 0, 1: 0})
    assert scheduler.step_finished(0, None, {"a": 200}) == [Hold(2, 600, 700, False), Start(3, 0)]
    validate(scheduler)


def test_it_may_only_be_said_what_would_have_waited():
    scheduler = scheduler_of(2, {0: 600, 1: 600}, workers=0, mode="log")
    assert ready(scheduler) == [Start(0, 10), Hold(1, 600, 950, True), Start(1, 11)]


def test_or_nothing_at_all():
    scheduler = scheduler_of(2, {0: 600, 1: 600}, workers=0, mode="off")
    assert ready(scheduler) == [Start(0, 10), Start(1, 11)]


@pytest.mark.parametrize("limit", [500, 0.5])
def test_a_limit_counts_what_workers_and_data_take(limit):
    plan = plan_of([(["raw"], ["a"]), (["raw"], ["b"]), (["raw"], ["c"])])
    scheduler = scheduler_of(plan=plan, needs={1: 100, 2: 250}, workers=0, limit=limit)
    scheduler.worker_ready(0)
    scheduler.step_finished(0, None, {"a": 100})
    scheduler.memory_seen(TOTAL, TOTAL, {0: 50, 1: 60})
    # 500, less 100 of data, 110 of workers, and 100 that the running one is still to take.
    assert scheduler.worker_ready(1) == [Hold(2, 250, 290, False)]
    assert scheduler.memory_seen(TOTAL, TOTAL, {0: 0, 1: 50}) == [Start(2, 1)]


def test_workers_that_start_will_take_what_others_have():
    scheduler = scheduler_of(3, needs={0: 0, 1: 300, 2: 0}, workers=1)
    scheduler.memory_seen(500, TOTAL, {0: 100, 1: 20, 2: 30})
    assert scheduler.admission.room == 500 - 50 - 80 - 70


def test_it_is_learned_what_a_step_needs():
    scheduler = scheduler_of(2, workers=1)
    for used in (70, 370, 120):
        scheduler.memory_seen(TOTAL, TOTAL, {0: used})
    scheduler.step_finished(0, None, {"o0": 5})
    assert scheduler.admission.needs == {0: 305}
    scheduler.step_finished(1)  # while nobody has looked
    assert scheduler.admission.needs == {0: 305}


def test_steps_with_the_same_function_are_taken_to_need_the_same():
    plan = plan_of([([], [f"d{i}"]) for i in range(3)], functions=[7, 7, 8])
    scheduler = scheduler_of(plan=plan, workers=1)
    scheduler.memory_seen(TOTAL, TOTAL, {0: 0})
    scheduler.memory_seen(TOTAL, TOTAL, {0: 400})
    scheduler.step_finished(0)
    assert [scheduler.admission.need_of(step) for step in range(3)] == [400, 400, None]


def test_a_step_that_was_killed_for_memory_needs_at_least_what_it_had():
    scheduler = scheduler_of(2, workers=1)
    scheduler.memory_seen(TOTAL, TOTAL, {0: 100})
    scheduler.memory_seen(0, TOTAL, {0: 900})
    scheduler.worker_gone(0, for_memory=True)
    assert scheduler.admission.need_of(0) == 800
    scheduler = scheduler_of(2, workers=1)
    scheduler.memory_seen(TOTAL, TOTAL, {0: 100})
    assert scheduler.worker_gone(0)[0] == GiveUp(0)
    assert scheduler.admission.need_of(0) is None
