"""Random pipelines on a Dask cluster have the outcome that they have under SequentialRunner."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from kedro.runner import SequentialRunner

from prunner import DaskRunner
from tests.equivalence import outcome_of
from tests.pipelines import pipelines
from tests.processes.test_random_pipelines import same, same_failure

pytestmark = pytest.mark.timeout(300)


def check(client, cases, compare):
    @given(cases)
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        database=None,
    )
    def same_outcome(case):
        runner = DaskRunner(client=client)
        compare(case, outcome_of(runner, case), outcome_of(SequentialRunner(), case))

    same_outcome()


def test_random_pipelines(client):
    check(client, pipelines(), same)


def test_random_pipelines_that_fail(client):
    check(client, pipelines(may_fail=True).filter(lambda c: c.failing()), same_failure)
