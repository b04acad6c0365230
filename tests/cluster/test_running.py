"""Nodes on workers that are separate processes, without a project: rules, errors, logs, data."""

from __future__ import annotations

import logging
import os
import socket
import threading
import traceback
from collections import Counter
from typing import Any

import pytest
from distributed import Client, LocalCluster
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import DaskRunner
from prunner.errors import PipelineFailed
from tests.cluster import nodes
from tests.cluster.processes import Guest, meeting, plugins_of_runs, wait_until_nothing_is_held

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def pids(shared):
    """The worker processes by the name of the worker."""
    return {name: shared.worker("--name", name, *options).pid for name, *options in WORKERS}


WORKERS = (("plain",), ("gpu", "--resources", "GPU=1"), ("threads", "--nthreads", "3"))


@pytest.fixture(scope="module")
def client(shared, pids):
    return shared.client(len(pids))


def run(target, steps, inputs=None, hooks=(), **options):
    """What a pipeline makes, loaded."""
    manager = _create_hook_manager()
    for each in hooks:
        manager.register(each)
    which = {"client": target} if isinstance(target, Client) else {"cluster": target}
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in (inputs or {}).items()})
    outputs = DaskRunner(**which, **options).run(pipeline(steps), catalog, manager)
    return {name: dataset.load() for name, dataset in outputs.items()}


# --- rules for nodes --------------------------------------------------------------------------


def test_node_is_tried_again_for_the_errors_that_were_named(client, tmp_path, caplog):
    steps = [node(nodes.fail_twice, "path", "count", name="flaky")]

    with caplog.at_level(logging.INFO):
        found = run(
            client,
            steps,
            {"path": str(tmp_path / "tries")},
            retries=2,
            retry_on=ConnectionError,
            retry_delay=0.01,
        )

    assert found == {"count": 3}
    said = [r.getMessage() for r in caplog.records if "will be tried again" in r.getMessage()]
    assert ["try 1" in said[0], "try 2" in said[1]] == [True, True]


def test_node_is_not_tried_again_for_other_errors(client, tmp_path):
    path = tmp_path / "tries"

    with pytest.raises(ConnectionError, match="try 1"):
        run(
            client,
            [node(nodes.fail_twice, "path", "count", name="flaky")],
            {"path": str(path)},
            retries=2,
            retry_on=ValueError,
        )

    assert len(path.read_text("utf-8").splitlines()) == 1


def test_run_goes_on_with_what_does_not_depend_on_a_failed_node(client):
    steps = [
        node(nodes.fail, None, "bad", name="bad"),
        node(nodes.add, "bad", "below", name="below"),
        node(nodes.add, "one", "good", name="good"),
        node(nodes.add, ["good", "one"], "better", name="better"),
    ]

    with pytest.raises(PipelineFailed) as caught:
        run(client, steps, {"one": 1}, on_error="continue")

    failed = caught.value
    assert list(failed.failures) == ["bad"]
    assert isinstance(failed.failures["bad"], nodes.OrchardError)
    assert failed.skipped == ("below",)
    assert sorted(failed.completed) == ["better", "good"]


def test_node_that_needs_a_resource_runs_where_it_is(client, pids):
    steps = [node(nodes.pid, None, f"pid{n}", name=f"train{n}", tags="train") for n in range(6)]

    found = run(client, steps, node_options={"train": {"resources": {"GPU": 1}}})

    assert set(found.values()) == {pids["gpu"]}


def test_nodes_that_stay_in_the_main_process_run_between_those_of_workers(client, pids):
    lock = threading.Lock()  # cannot be pickled
    steps = [
        node(nodes.pid, None, "first"),
        node(nodes.pid, "first", "second", tags="prunner.main"),
        node(nodes.pid, "second", "third"),
        node(lambda _: (lock, os.getpid())[1], "third", "fourth", name="locked"),
        node(nodes.pid, "fourth", "fifth"),
    ]

    seen = Seen()
    found = run(client, steps, hooks=[seen])

    where = [seen.outputs[name] for name in ("first", "second", "third", "fourth")]
    assert [pid == os.getpid() for pid in where] == [False, True, False, True]
    assert found["fifth"] in pids.values()


def test_data_that_cannot_be_pickled_stays_with_the_nodes_that_need_it(client, pids):
    steps = [
        node(nodes.pid, None, "start"),
        node(nodes.keep, "start", "kept", tags="prunner.main"),
        node(nodes.value_of, "kept", "found"),
        node(lambda found: (*found, os.getpid()), "found", "end"),
    ]

    value, pid, end = run(client, steps)["end"]

    assert (value, pid) == (5, os.getpid())
    assert end in pids.values()


class Seen:
    """Hooks that write down data."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.outputs: dict[str, Any] = {}
        self.threads: set[int] = set()

    def note(self, hook, each):
        self.threads.add(threading.get_ident())
        self.calls.append((hook, each.name))

    @hook_impl
    def before_node_run(self, node):
        self.note("before_node_run", node)

    @hook_impl
    def after_node_run(self, node, outputs):
        self.note("after_node_run", node)
        self.outputs.update(outputs)

    @hook_impl
    def before_dataset_saved(self, dataset_name, node):
        self.note(f"before_dataset_saved {dataset_name}", node)


# --- errors -----------------------------------------------------------------------------------


def test_exception_keeps_type_arguments_and_chain_and_is_told_where_it_was_raised(
    client, pids, caplog
):
    with pytest.raises(nodes.OrchardError) as caught:
        run(client, [node(nodes.fail, None, "bad", name="picking")])

    error = caught.value
    assert error.args == (7, "weight")
    assert error.field == "weight"
    assert type(error.__cause__) is KeyError
    assert error.__cause__.args == ("apple",)
    assert "nodes.py" in traceback.extract_tb(error.__traceback__)[-1].filename
    text = "".join(traceback.format_exception(error))
    assert "picking" in text
    assert socket.gethostname() in text
    assert any(f"process {pid} " in text for pid in pids.values())
    assert "KeyError: 'apple'" in text


def test_nothing_of_runs_is_left_on_the_workers(client):
    run(client, [node(nodes.pid, None, "pid")])
    with pytest.raises(nodes.OrchardError):
        run(client, [node(nodes.fail, None, "bad"), node(nodes.add, "bad", "never")])

    assert plugins_of_runs(client) == []
    wait_until_nothing_is_held(client)


# --- several threads in one process -----------------------------------------------------------

MANY = 12


def test_logs_and_hooks_of_workers_with_threads_belong_to_their_nodes(client, caplog):
    steps = [node(nodes.log_where, f"number{n}", f"logged{n}", name=f"log{n}") for n in range(MANY)]
    seen = Seen()
    inputs = {f"number{n}": n for n in range(MANY)}
    with caplog.at_level(logging.WARNING):
        run(client, steps, inputs, hooks=[seen])

    said = Counter(
        (record.__dict__["prunner_node"], record.getMessage())
        for record in caplog.records
        if record.name == "orchard.nodes"
    )
    assert said == Counter(
        (f"log{n}", f"number {n} line {i}") for n in range(MANY) for i in range(5)
    )
    for n in range(MANY):
        own = [hook for hook, name in seen.calls if name == f"log{n}"]
        assert own == ["before_node_run", "after_node_run", f"before_dataset_saved logged{n}"]
        assert seen.outputs[f"logged{n}"][0] == n
    assert seen.threads == {threading.get_ident()}


def test_threads_of_this_process_are_workers_too(caplog):
    with LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=False,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=50,
    ) as cluster:
        steps = [node(nodes.pid, None, "pid"), node(nodes.add, ["pid", "one"], "sum")]

        assert run(cluster, steps, {"one": 1}) == {"sum": os.getpid() + 1}
        with pytest.raises(nodes.OrchardError):
            run(cluster, [node(nodes.fail, None, "bad", name="bad")])
        many = [node(nodes.add, ["one", "two"], f"sum{n}", name=f"add{n}") for n in range(20)]
        assert set(run(cluster, many, {"one": 1, "two": 2}).values()) == {3}


def test_what_a_node_in_flight_makes_counts_where_a_run_stops(client):
    """It is told to go on by the hook of the node that fails."""

    guests: dict[str, Guest] = {}

    class Release:
        @hook_impl
        def on_node_error(self) -> None:
            guests["in flight"].go_on()

    def let_fail() -> None:
        guests.update({guest.name: guest for guest in (place.next(), place.next())})
        guests[""].go_on()

    manager = _create_hook_manager()
    manager.register(Release())
    with meeting() as place:
        thread = threading.Thread(target=let_fail)
        thread.start()
        inputs: dict[str, Any] = {
            "address": MemoryDataset(place.address),
            "name": MemoryDataset("in flight"),
        }
        catalog = DataCatalog(inputs)
        steps = [
            node(nodes.fail_late, "address", "bad", name="bad"),
            node(nodes.wait, ["address", "name"], "good", name="good"),
        ]
        with pytest.raises(nodes.OrchardError):
            DaskRunner(client=client).run(pipeline(steps), catalog, manager)
        thread.join()
        assert catalog.load("good") == guests["in flight"].pid


# --- data -------------------------------------------------------------------------------------

COUNT = 6_500_000  # numbers of 8 bytes: more than 50 MB
TOTAL = COUNT * (COUNT - 1) / 2


def test_data_between_workers_does_not_come_here(client, pids):
    steps = [
        node(nodes.traced, None, "made", name="make"),
        *(node(nodes.pids_of, "made", f"pids{n}", name=f"load{n}") for n in range(6)),
    ]

    found = run(client, steps)

    assert os.getpid() not in {pid for each in found.values() for pid in each}


def test_large_data_stays_on_the_workers(client, pids):
    steps = [
        node(nodes.large, "count", "array", name="make"),
        node(nodes.total, "array", "total", name="sum"),
    ]

    value, pid = run(client, steps, {"count": COUNT})["total"]

    assert value == TOTAL
    assert pid in pids.values()


class LooksAtData:
    """Hooks that ask for all data of every node."""

    def __init__(self) -> None:
        self.sums: list[tuple[str, float]] = []

    def note(self, what, value):
        if hasattr(value, "sum"):
            self.sums.append((what, float(value.sum())))

    @hook_impl
    def after_dataset_loaded(self, dataset_name, data):
        self.note("loaded", data)

    @hook_impl
    def before_node_run(self, inputs):
        self.note("before", inputs.get("array"))

    @hook_impl
    def after_node_run(self, outputs):
        self.note("after", outputs.get("array"))

    @hook_impl
    def before_dataset_saved(self, data):
        self.note("saved", data)


def test_hooks_get_large_data_when_they_ask_for_it(client):
    steps = [
        node(nodes.large, "count", "array", name="make"),
        node(nodes.total, "array", "total", name="sum"),
    ]
    looks = LooksAtData()

    run(client, steps, {"count": COUNT}, hooks=[looks])

    assert looks.sums == [(what, TOTAL) for what in ("after", "saved", "loaded", "before")]


def test_large_data_that_is_an_input_or_an_output_of_the_run(client):
    array = nodes.large(COUNT)

    found = run(client, [node(lambda each: each + 1, "array", "more")], {"array": array})

    assert found["more"].sum() == TOTAL + COUNT
