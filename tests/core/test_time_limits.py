from __future__ import annotations

import pytest

from prunner.planning.policy import RunPolicy, StepPolicy
from prunner.time_limits import TimeIsUp, TimeLimits


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limits():
    return TimeLimits(RunPolicy(default=StepPolicy(timeout=5.0), steps={7: StepPolicy()}))


def test_the_time_of_a_step_begins_with_it(limits, clock):
    (first,) = limits.watch({0: 3, 1: 7}, clock)
    assert first == (105.0, TimeIsUp(0, 3, 100.0))
    assert list(limits.watch({0: 3, 1: 7}, clock)) == []
    assert limits.is_up(first[1])
    assert limits.forget(0) == 3


def test_a_step_that_has_ended_is_not_overdue(limits, clock):
    ((_, alarm),) = limits.watch({0: 3}, clock)
    clock.now = 101.0
    ((at, _),) = limits.watch({0: 4}, clock)
    assert at == 106.0
    assert not limits.is_up(alarm)
    assert limits.forget(0) is None


def test_the_time_in_which_a_worker_waits_for_the_main_process_does_not_count(limits, clock):
    ((_, alarm),) = limits.watch({0: 3}, clock)
    clock.now = 102.0
    limits.pause(0, clock)
    assert not limits.is_up(alarm)
    clock.now = 110.0
    limits.go_on(0, clock)
    ((at, later),) = limits.watch({0: 3}, clock)
    assert at == 113.0
    assert not limits.is_up(alarm)
    assert limits.is_up(later)


def test_a_step_that_ends_while_its_worker_waits_is_forgotten(limits, clock):
    list(limits.watch({0: 3}, clock))
    limits.pause(0, clock)
    assert list(limits.watch({}, clock)) == []
    limits.go_on(0, clock)
    assert list(limits.watch({}, clock)) == []


def test_nothing_is_watched_without_limits(clock):
    limits = TimeLimits(RunPolicy())
    assert list(limits.watch({0: 1}, clock)) == []
    limits.pause(0, clock)
    limits.go_on(0, clock)
    assert list(limits.watch({0: 1}, clock)) == []


@pytest.mark.parametrize("failures", [1, 3, 5000])
def test_delays_have_an_end(failures):
    assert StepPolicy().delay(failures) == 0.0
    year = 365 * 24 * 3600.0
    assert StepPolicy(retry_delay=1.0).delay(failures) == min(2.0 ** min(failures - 1, 1000), year)
