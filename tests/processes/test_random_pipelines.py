"""Random pipelines on real processes have the outcome that they have under SequentialRunner."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from kedro.runner import SequentialRunner

from prunner import ParallelRunner
from tests.equivalence import HERE, Outcome, look, outcome_of
from tests.pipelines import Case, pipelines
from tests.processes.conftest import NEW_AND_COPIED

pytestmark = [NEW_AND_COPIED, pytest.mark.timeout(300)]

# An example takes 2 s where each worker imports Kedro anew, and a tenth of that where it is forked.
EXAMPLES = {"fork": 25}


def check(start_method, cases, compare):
    @given(cases)
    @settings(
        max_examples=EXAMPLES.get(start_method, 9),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        database=None,
    )
    def same_outcome(case):
        runner = ParallelRunner(max_workers=2, start_method=start_method)
        compare(case, outcome_of(runner, case), outcome_of(SequentialRunner(), case))

    same_outcome()


def lines(outcome: Outcome) -> Counter[object]:
    return Counter(line for lines in outcome.logs.values() for line in lines)


def same(case: Case, got: Outcome, expected: Outcome) -> None:
    assert got.error is None
    assert got.outputs == expected.outputs
    assert got.left == expected.left
    assert got.hooks == expected.hooks
    for name in got.logs.keys() - {HERE}:
        assert got.logs[name] == expected.logs[name]
    assert lines(got) == lines(expected)
    progress = [line for line in got.runners_logs if line[1].startswith("Completed")]
    assert sorted(progress) == sorted(
        line for line in expected.runners_logs if line[1].startswith("Completed")
    )


def test_random_pipelines(start_method):
    check(start_method, pipelines(), same)


def same_failure(case: Case, got: Outcome, expected: Outcome) -> None:
    assert look(got.error) == look(expected.error)
    failing = case.failing()
    assert failing is not None
    above = [each.name for each in case.pipeline().to_nodes(failing.name).nodes]
    for name in above:
        assert got.hooks[name] == expected.hooks[name]
        if name in got.logs:
            assert got.logs[name] == expected.logs[name]


def test_random_pipelines_that_fail(start_method):
    check(start_method, pipelines(may_fail=True).filter(lambda c: c.failing()), same_failure)
