"""What a record says of where nodes ran."""

from __future__ import annotations

import logging
import os
import socket
from types import SimpleNamespace
from typing import Any

from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from prunner import history
from prunner.bridge.messages import Finished
from prunner.journal import Journal
from prunner.outcomes import Outcomes
from prunner.planning.plan import RunPlan
from prunner.sessions.recording import Recording
from prunner.sessions.tracing import Traced, node_records

HERE = socket.gethostname()


def traced(*workers: int) -> Traced:
    """A run of independent nodes, one for each of these workers."""
    nodes = [node(abs, "x", f"y{n}", name=f"n{n}") for n in range(len(workers))]
    pipeline = Pipeline(nodes)
    journal = Journal()
    for step, worker in enumerate(workers):
        journal.end(worker, Finished(step, {}, 1.0), 10.0 + step)
    return Traced(
        plan=RunPlan.from_pipeline(pipeline, (), {}),
        nodes=pipeline.nodes,
        keys=history.keys_of(pipeline.nodes),
        journal=journal,
        outcomes=Outcomes([each.name for each in pipeline.nodes], logging.getLogger("test")),
        done=frozenset(range(len(workers))),
        needs={},
        processes={0: (None, 70), 1: (HERE, 71), 2: ("lemon", 71)},
        catalog=DataCatalog(),
    )


def test_only_other_hosts_are_named():
    records = node_records(traced(0, 1, 2, -1).seen_from(HERE), 9.0, str)
    assert [(each.worker, each.host, each.pid) for each in records] == [
        (0, None, 70),
        (1, None, 71),
        (2, "lemon", 71),
        (-1, None, os.getpid()),
    ]


def test_the_record_of_a_run_has_the_hosts_of_its_workers(monkeypatch):
    noted: dict[str, Any] = {}
    monkeypatch.setattr(Recording, "note", lambda self, **what: noted.update(what))
    keeper = SimpleNamespace(
        scrubbed=dict,
        scrubber=SimpleNamespace(text=str),
        record=lambda data, outcome: SimpleNamespace(project=""),
        archive=SimpleNamespace(begin=lambda session, run: ("s", "r")),
    )
    store: Any = SimpleNamespace(keeper=keeper, data={})
    run = traced(2, 1)

    Recording(store, {"run_id": "r"}, run.catalog).trace(run)

    assert noted["hosts"] == {2: "lemon"}
    assert noted["pids"] == {0: 70, 1: 71, 2: 71}
    assert [each.host for each in noted["nodes"]] == ["lemon", None]
