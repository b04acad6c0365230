"""The report of ``prunner check``, without a project."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kedro.io import AbstractDataset, CachedDataset, DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from prunner.bridge.packing import pack
from prunner.check.cluster import look_at
from prunner.check.rehearsal import rehearse
from prunner.check.report import NodePlace, Parcel, Report, Scope, StuckDataset
from prunner.check.text import as_json, as_text
from prunner.cluster.findings import Difference, Findings, Host, Unseen, Version
from prunner.errors import ClusterError
from prunner.processes.book import MAIN_TAG
from tests.random_nodes import Stuck


class Untouchable(AbstractDataset[Any, Any]):
    def load(self):
        raise AssertionError("loaded")

    def save(self, data):
        raise AssertionError("saved")

    def _exists(self):
        raise AssertionError("asked for")

    def _describe(self):
        return {}


def never(*_: Any) -> Any:
    raise AssertionError("a node ran")


def step(inputs: Any, outputs: Any, name: str, **more: Any) -> Any:
    return node(never, inputs, outputs, name=name, **more)


def check(*nodes: Any, limit: int = 4, **datasets: Any) -> Report:
    pipeline = Pipeline(list(nodes))
    catalog = DataCatalog(datasets)
    for name in pipeline.datasets():
        catalog.get(name, fallback_to_runtime_pattern=True)
    return rehearse(Scope("orchard", ("__default__",), "loky", limit), pipeline, catalog)


def reasons(report: Report) -> dict[str, str | None]:
    return {each.name: each.stays_because for each in report.nodes}


def parcels(report: Report) -> dict[str, Parcel]:
    return {each.dataset: each for each in report.parcels}


def a_report() -> Report:
    return check(
        step("raw", "a", "n1"),
        step(["a", "stored"], "b", "n2"),
        step("a", "c", "n3", tags=[MAIN_TAG]),
        step(["c", "cached"], "d", "n4"),
        raw=MemoryDataset(np.zeros(1000)),
        stored=Untouchable(),
        cached=CachedDataset(Untouchable()),
    )


def test_each_node_has_its_place_and_reason():
    cached = "CachedDataset says that it works in a single process only"
    assert reasons(a_report()) == {
        "n1": None,
        "n2": None,
        "n3": "it is tagged 'prunner.main'",
        "n4": f"dataset 'cached': {cached}",
    }
    assert a_report().stuck == (StuckDataset("cached", cached),)


def test_nodes_are_in_the_order_of_the_pipeline():
    nodes = [step(f"d{i}", f"d{i + 1}", f"n{i}") for i in range(5)]
    assert [each.name for each in check(*reversed(nodes)).nodes] == [n.name for n in nodes]


def test_what_is_copied_and_what_is_not():
    assert parcels(a_report()) == {
        "raw": Parcel("raw", None, pack(np.zeros(1000))[1], to_workers=True, to_main=False),
        "a": Parcel("a", "n1", None, to_workers=True, to_main=True),
        "b": Parcel("b", "n2", None, to_workers=False, to_main=True),
    }


def test_data_that_only_the_main_process_uses_is_not_copied():
    report = check(
        step("raw", "a", "n1", tags=[MAIN_TAG]),
        step("a", "b", "n2", tags=[MAIN_TAG]),
        step("b", "c", "n3"),
        raw=MemoryDataset(1),
    )
    assert parcels(report).keys() == {"b", "c"}
    assert parcels(report)["b"] == Parcel("b", "n2", None, to_workers=True, to_main=False)


def test_what_is_stored_is_not_copied():
    report = check(
        step("stored", "saved", "n1"),
        step("saved", "a", "n2"),
        stored=Untouchable(),
        saved=Untouchable(),
    )
    assert parcels(report).keys() == {"a"}


def test_an_input_that_cannot_be_pickled():
    locked = MemoryDataset([threading.Lock()], copy_mode="assign")
    report = check(
        step("raw", "a", "n1"), step("given", "b", "n2"), raw=locked, given=MemoryDataset(1)
    )
    assert report.stuck[0].name == "raw"
    assert "found at list[0] (_thread.lock)" in report.stuck[0].reason
    assert str(reasons(report)["n1"]).startswith("dataset 'raw': ")
    assert parcels(report).keys() == {"given", "b"}


def test_an_input_without_data():
    report = check(step("raw", "a", "n1"), raw=MemoryDataset())
    assert parcels(report)["raw"].size is None
    assert "raw  an input without data, to workers" in as_text(report)


def test_a_node_that_cannot_be_pickled():
    report = check(node(Stuck(), "raw", "a", name="n1"), raw=MemoryDataset(1))
    assert "found at func.lock (_thread.lock)" in str(reasons(report)["n1"])
    assert report.parcels == ()


@pytest.mark.parametrize(("limit", "workers"), [(1, 1), (2, 2), (9, 3)])
def test_workers(limit, workers):
    nodes = [step("raw", f"a{i}", f"n{i}") for i in range(3)]
    assert check(*nodes, limit=limit, raw=MemoryDataset(1)).workers == workers


ROW = [step("raw", "a", "n1"), step("a", "b", "n2")]
WIDE = [step("raw", "a", "n1"), step("raw", "b", "n2"), step("raw", "c", "n3")]
PINNED = [step("raw", "p", "p1", tags=[MAIN_TAG])]
NO_GAIN = " No two of those can run at once, so nothing would be faster."


@pytest.mark.parametrize(
    ("nodes", "limit", "verdict"),
    [
        ([], 4, "There is no node to run."),
        (PINNED, 4, "Nothing would run in a worker: 1 node in the main process."),
        (ROW, 4, "All nodes would run in one worker." + NO_GAIN),
        (ROW, 1, "All nodes would run in one worker."),
        (ROW[:1], 4, "All nodes would run in one worker."),
        (WIDE, 4, "All nodes would run in up to 3 workers."),
        (WIDE + PINNED, 2, "3 of 4 nodes would run in up to 2 workers, 1 in the main process."),
        (ROW + PINNED, 4, "2 of 3 nodes would run in one worker, 1 in the main process." + NO_GAIN),
    ],
)
def test_verdict(nodes, limit, verdict):
    report = check(*nodes, limit=limit, raw=MemoryDataset(1))
    assert report.verdict == verdict
    assert as_text(report).splitlines()[-1] == verdict


def test_text():
    size = f"{pack(np.zeros(1000))[1]:,}"
    assert (
        as_text(a_report())
        == f"""\
Project     orchard
Pipeline    __default__
Nodes       4
Workers     1 at most, start method 'loky'

In workers (2)
  n1
  n2

In the main process (2)
  n3
      it is tagged 'prunner.main'
  n4
      dataset 'cached': CachedDataset says that it works in a single process only

Data in memory that goes between processes (3)
  raw  {size} bytes, to workers
  a    made by 'n1', to workers and the main process
  b    made by 'n2', to the main process

Datasets that cannot leave the main process (1)
  cached
      CachedDataset says that it works in a single process only

2 of 4 nodes would run in one worker, 2 in the main process.{NO_GAIN}"""
    )


def test_text_of_several_pipelines_and_nothing_else():
    report = Report(Scope("o", ("a", "b"), "spawn", 2), 1, (NodePlace("n", None),), (), ())
    assert as_text(report) == (
        "Project     o\nPipelines   a, b\nNodes       1\n"
        "Workers     1 at most, start method 'spawn'\n\n"
        "In workers (1)\n  n\n\nAll nodes would run in one worker."
    )


def test_json():
    found = json.loads(as_json(a_report()))
    assert found["scope"] == {
        "project": "orchard",
        "pipelines": ["__default__"],
        "start_method": "loky",
        "max_workers": 4,
    }
    assert found["workers"] == 1
    assert found["nodes"][0] == {"name": "n1", "stays_because": None}
    assert found["parcels"][1] == {
        "dataset": "a",
        "made_by": "n1",
        "size": None,
        "to_workers": True,
        "to_main": True,
    }
    assert [each["name"] for each in found["stuck"]] == ["cached"]
    assert found["verdict"] == a_report().verdict


# --- with a cluster ---------------------------------------------------------------------------

FOUND = Findings(
    scheduler="tcp://s:8786",
    hosts=(Host("apple", 1, 1), Host("pear", 2, 6)),
    differences=(Difference("numpy", "2.1", (Version("2.0", ("tcp://a:1",)),)),),
    package="orchard",
    without_package=("tcp://b:2",),
    sends_package=True,
    other_source=("tcp://c:3",),
    unseen=(Unseen("raw", ("apple", "pear")),),
)


def test_what_is_found_of_a_cluster_comes_before_the_verdict():
    report = replace(a_report(), cluster=FOUND)
    text = as_text(report)
    assert text.startswith(as_text(a_report()).removesuffix(a_report().verdict))
    assert (
        text.removeprefix(as_text(a_report()).removesuffix(a_report().verdict))
        == f"""\
Dask cluster at tcp://s:8786
  apple  1 worker, 1 thread
  pear  2 workers, 6 threads

Other versions in workers (1)
  numpy: 2.1 here, 2.0 on tcp://a:1

Workers without the package 'orchard' (1)
  tcp://b:2  would be sent it

Workers with other source of 'orchard', which they would use (1)
  tcp://c:3

Datasets whose local files are not the same there (1)
  raw  on apple, pear

{report.verdict}"""
    )


def test_a_cluster_in_which_nothing_stands_out():
    quiet = replace(FOUND, differences=(), without_package=(), other_source=(), unseen=())
    text = as_text(replace(a_report(), cluster=quiet))
    assert "\n  pear  2 workers, 6 threads\n\n2 of 4 nodes" in text
    text = as_text(replace(a_report(), cluster=replace(quiet, hosts=())))
    assert "8786\n  no worker yet: a run would wait for one\n\n2 of 4 nodes" in text


def test_a_worker_that_is_not_sent_the_package():
    text = as_text(replace(a_report(), cluster=replace(FOUND, sends_package=False)))
    assert "  tcp://b:2  could not run anything\n" in text


def test_json_of_a_cluster():
    assert "cluster" not in json.loads(as_json(a_report()))
    found = json.loads(as_json(replace(a_report(), cluster=FOUND)))["cluster"]
    assert found["scheduler"] == "tcp://s:8786"
    assert found["hosts"][1] == {"name": "pear", "workers": 2, "threads": 6}
    assert found["differences"] == [
        {
            "package": "numpy",
            "here": "2.1",
            "there": [{"version": "2.0", "workers": ["tcp://a:1"]}],
        }
    ]
    assert found["unseen"] == [{"dataset": "raw", "hosts": ["apple", "pear"]}]


class InFile(Untouchable):
    def __init__(self, path: str) -> None:
        self._filepath = path


def test_a_cluster_is_asked_for_the_files_that_workers_would_use():
    asked = []

    def look_at(paths):
        asked.append(dict(paths))
        return FOUND

    pipeline = Pipeline([step(["raw", "stored"], "a", "n1")])
    datasets: dict[str, Any] = {
        "raw": InFile("/data/raw.csv"),
        "stored": Untouchable(),
        "other": InFile("/x"),
    }
    catalog = DataCatalog(datasets)
    catalog.get("a", fallback_to_runtime_pattern=True)
    scope = Scope("orchard", ("__default__",), "loky", 4)

    assert rehearse(scope, pipeline, catalog, look_at).cluster is FOUND
    assert asked == [{"raw": "/data/raw.csv"}]
    assert rehearse(scope, pipeline, catalog).cluster is None


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "prunner.cluster.runner", raising=False)
    with pytest.raises(ClusterError, match=r"pip install 'prunner\[dask\]'"):
        look_at("tcp://a:1", None, None, {})
