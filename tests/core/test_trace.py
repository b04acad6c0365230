"""Runs in the trace event format, as Perfetto reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prunner.report.trace import trace_events, trace_json
from prunner.sessions.records import NodeRecord, Outcome, RunRecord, Transfer, Try
from tests.sample_records import BEGAN, HOSTILE, failed_run, sample_run, sample_session, spread


def a_run(**changes: Any) -> RunRecord:
    node = NodeRecord(
        step=0,
        name="train",
        function="shop.train",
        outcome=Outcome.COMPLETED,
        worker=1,
        started=101.0,
        ended=103.0,
        loads=(Transfer("raw", 101.25, 0.25, 4096),),
        run_seconds=1.0,
        saves=(Transfer("model", 102.5, 0.25),),
        tries=(Try(0, 100.0, 100.5, "WorkerDied: exit code 1"),),
    )
    run = RunRecord(
        key="k", run_id="r", started=100.0, ended=103.5, pid=7, pids={1: 9}, nodes=(node,)
    )
    return replace(run, **changes)


def complete(run: RunRecord) -> list[dict[str, Any]]:
    return [event for event in trace_events(run) if event["ph"] == "X"]


def test_nodes_and_their_phases_have_times_in_microseconds():
    shown = [
        (event["cat"], event["name"], event["tid"], event["ts"], event["dur"])
        for event in complete(a_run())
    ]
    assert shown == [
        ("failed", "train (try 1 failed)", 2, 0, 500_000),
        ("node", "train", 3, 1_000_000, 2_000_000),
        ("load", "load raw", 3, 1_250_000, 250_000),
        ("run", "run shop.train", 3, 1_500_000, 1_000_000),
        ("save", "save model", 3, 2_500_000, 250_000),
    ]
    assert complete(a_run())[2]["args"] == {"bytes": 4096}
    assert complete(a_run())[0]["args"]["error"] == "WorkerDied: exit code 1"


def test_workers_are_threads_with_names_in_order():
    names = {
        event["tid"]: event["args"]["name"]
        for event in trace_events(a_run())
        if event["name"] == "thread_name"
    }
    assert names == {1: "main process (pid 7)", 2: "worker 0", 3: "worker 1 (pid 9)"}
    process = [event for event in trace_events(a_run()) if event["name"] == "process_name"]
    assert [event["args"] for event in process] == [{"name": "run r"}]


def names_of(run: RunRecord, kind: str) -> dict[tuple[int, int], str]:
    return {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in trace_events(run)
        if event["name"] == kind
    }


def test_processes_of_other_hosts_are_processes_of_the_trace():
    run = spread(sample_run(20, 6, seed=1), None, "lemon", "pear")
    # Two threads of one process, and a process of another host that has its id.
    run = replace(run, pids={0: 7, 1: 7, 2: 7, 3: 8, 4: 7, 5: 9})
    assert names_of(run, "process_name") == {
        (1, 1): f"run {run.run_id}",
        (2, 3): "host lemon (pid 7)",
        (3, 4): "host pear (pid 7)",
        (4, 7): "host pear (pid 9)",
    }
    assert names_of(run, "thread_name") == {
        (1, 1): "main process (pid 1000)",
        (1, 2): "worker 0 (pid 7)",
        (2, 3): "worker 1 (pid 7)",
        (3, 4): "worker 2 (pid 7)",
        (1, 5): "worker 3 (pid 8)",
        (2, 6): "worker 4 (pid 7)",
        (4, 7): "worker 5 (pid 9)",
    }
    places = {
        (event["args"]["step"], event["pid"], event["tid"], event["args"].get("host"))
        for event in complete(run)
        if event["cat"] == "node"
    }
    groups = {0: 1, 1: 2, 2: 3, 3: 1, 4: 2, 5: 4, -1: 1}
    assert places == {
        (node.step, groups[node.worker], node.worker + 2, node.host)
        for node in run.nodes
        if node.worker is not None
    }


def test_a_try_on_another_host_is_shown_there():
    run = a_run(hosts={0: "lemon"})
    assert [event["pid"] for event in complete(run)] == [2, 1, 1, 1, 1]
    assert names_of(run, "process_name")[2, 2] == "host lemon"


def test_memory_is_a_counter():
    run = sample_run(3, 2)
    counters = [event for event in trace_events(run) if event["ph"] == "C"]
    assert len(counters) == 2 * len(run.memory)
    assert counters[0]["args"] == {"free": run.memory[0].free}
    used = run.memory[0].used
    assert counters[1]["args"] == {"worker 0": used[0], "worker 1": used[1]}


@given(st.integers(0, 25), st.integers(1, 5), st.integers(0, 10**6))
def test_what_happens_in_a_thread_nests(nodes, workers, seed):
    run = sample_run(nodes, workers, seed)
    ends: dict[int, list[int]] = {}
    for event in sorted(complete(run), key=lambda one: (one["tid"], one["ts"], -one["dur"])):
        began, took = round(event["ts"] * 1000), round(event["dur"] * 1000)
        open_ends = ends.setdefault(event["tid"], [])
        while open_ends and open_ends[-1] <= began:
            open_ends.pop()
        assert took >= 0
        assert not open_ends or began + took <= open_ends[-1]
        open_ends.append(began + took)


@given(st.text(st.characters(), min_size=1))
def test_every_name_comes_back_as_it_is(name):
    # Lone surrogates are no text that a file could have.
    wanted = name.encode("utf-8", "replace").decode()
    node = replace(a_run().nodes[0], name=name)
    trace = json.loads(trace_json(a_run(nodes=(node,))).encode())
    assert wanted in [event["name"] for event in trace["traceEvents"]]


def test_a_lone_surrogate_can_be_written():
    node = replace(a_run().nodes[0], name="a\ud800b")
    assert "a?b" in trace_json(a_run(nodes=(node,))).encode().decode()


def test_the_file_says_what_it_is_of():
    run = sample_run(9, 3, names=HOSTILE)
    trace = json.loads(trace_json(run, sample_session(run)))
    assert trace["displayTimeUnit"] == "ms"
    assert trace["otherData"]["run_id"] == run.run_id
    assert trace["otherData"]["session_id"] == "2025-06-15T15.06.39.000Z"
    assert set(HOSTILE) <= {event["name"] for event in trace["traceEvents"]}


def test_poor_records_give_a_trace_as_well():
    run = failed_run()
    never = [node.name for node in run.nodes if node.started is None]
    names = [event["name"] for event in complete(run)]
    assert never and not set(never) & set(names)
    assert complete(RunRecord(key="k", run_id="k", started=BEGAN)) == []
    running = replace(a_run().nodes[0], ended=None)
    assert [(each["name"], each["dur"]) for each in complete(a_run(nodes=(running,)))][1:] == [
        ("train", 0)
    ]
