"""Random pipelines on real processes have the outcome that they have under SequentialRunner."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from kedro.runner import SequentialRunner

from prunner import ParallelRunner
from tests.core.test_random_pipelines import Recorder, by_node, run
from tests.pipelines import pipelines

# An example takes 2 s where each worker imports Kedro anew, and a tenth of that where it is forked.
EXAMPLES = {"fork": 25}


def test_random_pipelines(start_method):
    @given(pipelines())
    @settings(
        max_examples=EXAMPLES.get(start_method, 9),
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    def same_outcome(case):
        expected, recorder = Recorder(), Recorder()
        runner = ParallelRunner(max_workers=2, start_method=start_method)
        assert run(runner, case, [recorder]) == run(SequentialRunner(), case, [expected])
        assert by_node(recorder.calls) == by_node(expected.calls)

    same_outcome()
