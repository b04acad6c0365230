from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunner.bridge.messages import Failed, Finished, MemorySeen
from prunner.bridge.phases import StepTimes
from prunner.events import RanHere
from prunner.journal import Attempt, Journal


def test_a_step_has_begun_when_it_was_told_to_or_when_the_worker_was_free():
    journal = Journal()
    journal.order(0, 10.0)
    journal.order(1, 10.0)
    assert journal.since(4, 0) == 10.0
    journal.end(4, Finished(0, {}, 2.0), 12.0)
    assert journal.since(4, 1) == 12.0
    journal.order(2, 20.0)
    assert journal.since(4, 2) == 20.0
    assert journal.since(5, 1) == 10.0  # another worker


def test_what_is_heard_late_ended_when_it_says():
    journal = Journal()
    journal.order(0, 10.0)
    times = StepTimes(11.0, 1.5, (("a", 0.0, 0.25),), ())
    journal.end(1, Finished(0, {}, 2.0, times), 99.0)
    assert journal.attempts[0] == [Attempt(1, 11.0, 13.0, False, times)]


def test_every_try_is_noted():
    journal = Journal()
    journal.order(0, 10.0)
    journal.end(1, Failed(0, None, "running", 7, seconds=1.0), 12.0, failed=True)  # type: ignore[arg-type]
    journal.order(0, 15.0)
    journal.die(2, 0, 16.0)
    assert journal.seconds() == {}
    journal.end(-1, RanHere(0, {}, frozenset(), 0.5), 20.0)
    assert [(a.worker, a.started, a.ended, a.failed) for a in journal.attempts[0]] == [
        (1, 11.0, 12.0, True),
        (2, 15.0, 16.0, True),
        (-1, 19.5, 20.0, False),
    ]
    assert journal.seconds() == {0: 0.5}


@given(st.integers(1, 5000))
def test_memory_is_kept_in_few_samples_of_the_whole_run(count):
    journal = Journal()
    for number in range(count):
        journal.see(MemorySeen(number, 10**9, {0: number}), float(number))
    times = [sample.at for sample in journal.samples]
    assert len(times) <= 501
    assert times == sorted(times)
    assert times[0] == 0.0
    gaps = {b - a for a, b in pairwise(times)}
    assert len(gaps) <= 1  # evenly, until it is thinned out again
    assert count - times[-1] <= 2 * (min(gaps) if gaps else 1)
    assert journal.memory_total == 10**9


def test_nobody_has_looked_at_first():
    journal = Journal()
    assert (journal.samples, journal.memory_total) == ([], None)
    assert journal.since(0, 0) == pytest.approx(0.0)
