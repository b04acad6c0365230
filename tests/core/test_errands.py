from __future__ import annotations

import logging
import queue
from typing import Any

from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from prunner.bridge.data import Exchange
from prunner.errands import Errands
from prunner.events import NoteDone, ReleaseDataset
from prunner.kedro_internals import no_hooks
from prunner.planning.plan import RunPlan
from tests.random_nodes import one


def test_what_was_done_when_a_run_is_interrupted_counts_though_nobody_has_said_so(caplog):
    steps = Pipeline([node(one, "raw", "a", name="a"), node(one, "raw", "b", name="b")])
    errands = Errands(
        RunPlan.from_pipeline(steps, [], {}),
        steps.nodes,
        DataCatalog(),
        no_hooks(),
        run_id=None,
        is_async=False,
        exchange=Exchange(()),
        logger=logging.getLogger("kedro.runner.prunner"),
    )
    left: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for errand in (ReleaseDataset("raw"), NoteDone(1, {})):
        left.put(errand)
    errands.close(left)
    assert errands.done == [1]
    assert left.empty()
    assert "Completed" not in caplog.text
