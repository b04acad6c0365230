"""A run in the trace event format of Chrome, which ui.perfetto.dev opens. Pure.

The format: "Trace Event Format", https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU/preview.
What Perfetto reads of it: https://perfetto.dev/docs/getting-started/other-formats#chrome-json-format;
in particular, complete events (``X``) of one thread have to nest, and do here.

The run is the process of the trace, each worker is a thread of it: so Perfetto shows them
together, in order, and a process id that the system gave twice does no harm. Workers on other hosts
are threads of further processes, one for each of theirs, with numbers of their own: two hosts may
have given the same process id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from prunner.report.figures import encodable
from prunner.report.phases import segments
from prunner.sessions.records import NodeRecord, RunRecord, SessionRecord, Try

_PID = 1
_FIRST_TID = 2  # of worker 0; the main process has 1, and 0 means something else to Perfetto

Event = dict[str, Any]


class _Lane(NamedTuple):
    """Where the trace shows a worker.

    Attributes:
        pid: The process of the trace.
        tid: The thread.
    """

    pid: int
    tid: int


def trace_json(run: RunRecord, session: SessionRecord | None = None) -> str:
    """The trace of a run as text of a JSON file.

    Args:
        run: The run, with its nodes.
        session: Its session, if it is on record.

    Returns:
        One JSON object, to be written as UTF-8.
    """
    about = {
        "run_id": run.run_id,
        "runner": run.runner,
        "outcome": str(run.outcome),
        "host": run.host,
        "session_id": session.session_id if session else None,
    }
    trace = {
        "traceEvents": trace_events(run),
        "displayTimeUnit": "ms",
        "otherData": {name: value for name, value in about.items() if value},
    }
    return encodable(json.dumps(trace, ensure_ascii=False, indent=0))


def trace_events(run: RunRecord) -> list[Event]:
    """The events of a run: names of workers, nodes with their phases, memory.

    Args:
        run: The run, with its nodes.

    Returns:
        Events with times in microseconds from the beginning of the run.
    """
    lanes = _lanes(run)
    return [*_names(run, lanes), *_nodes(run, lanes), *_memory(run)]


def _lanes(run: RunRecord) -> dict[int, _Lane]:
    """Where each worker is shown, the main process first."""
    numbers: dict[tuple[str, int | None], int] = {}
    lanes = {}
    for worker in sorted(_workers(run)):
        pid = _PID
        if worker in run.hosts:
            process = run.hosts[worker], run.pids.get(worker)
            pid = numbers.setdefault(process, _PID + 1 + len(numbers))
        lanes[worker] = _Lane(pid, worker + _FIRST_TID)
    return lanes


def _names(run: RunRecord, lanes: Mapping[int, _Lane]) -> Iterator[Event]:
    yield _metadata("process_name", lanes[-1], "name", f"run {run.run_id}")
    named = {_PID}
    for worker, lane in lanes.items():
        if lane.pid not in named:
            named.add(lane.pid)
            pid, host = run.pids.get(worker), run.hosts[worker]
            name = f"host {host} (pid {pid})" if pid else f"host {host}"
            yield _metadata("process_name", lane, "name", name)
            yield _metadata("process_sort_index", lane, "sort_index", lane.pid)
        pid = run.pid if worker < 0 else run.pids.get(worker)
        name = "main process" if worker < 0 else f"worker {worker}"
        yield _metadata("thread_name", lane, "name", f"{name} (pid {pid})" if pid else name)
        yield _metadata("thread_sort_index", lane, "sort_index", lane.tid)


def _workers(run: RunRecord) -> set[int]:
    of_nodes = {node.worker for node in run.nodes if node.worker is not None}
    return {-1, *run.pids, *of_nodes, *(one.worker for node in run.nodes for one in node.tries)}


def _nodes(run: RunRecord, lanes: Mapping[int, _Lane]) -> Iterator[Event]:
    for node in run.nodes:
        for number, each in enumerate(node.tries, 1):
            yield _try(run, node, each, number, lanes[each.worker])
        if node.worker is None or node.started is None:
            continue
        lane = lanes[node.worker]
        # A node without an end was running when the record ended.
        ended = node.started if node.ended is None else node.ended
        yield _complete(run, node.name, "node", lane, (node.started, ended), _about(node))
        for part in segments(node):
            times = (part.began, part.began + part.seconds)
            details = {} if part.size is None else {"bytes": part.size}
            name = f"{part.phase} {part.label}"
            yield _complete(run, name, part.phase, lane, times, details)


def _try(run: RunRecord, node: NodeRecord, failed: Try, number: int, lane: _Lane) -> Event:
    return _complete(
        run,
        f"{node.name} (try {number} failed)",
        "failed",
        lane,
        (failed.started, failed.ended),
        {"error": failed.error, "step": node.step},
        cname="terrible",
    )


def _about(node: NodeRecord) -> dict[str, Any]:
    about = {
        "outcome": str(node.outcome),
        "function": node.function,
        "host": node.host,
        "pid": node.pid,
        "parents": ", ".join(map(str, node.parents)),
        "peak_memory": node.peak_memory,
        "pinned": node.pinned,
        "error": node.error,
    }
    return {"step": node.step} | {name: value for name, value in about.items() if value}


def _memory(run: RunRecord) -> Iterator[Event]:
    for sample in run.memory:
        at = _nanoseconds(run, sample.at) / 1000
        used = {f"worker {worker}": size for worker, size in sorted(sample.used.items())}
        yield _counter("free memory (bytes)", at, {"free": sample.free})
        if used:
            yield _counter("memory of workers (bytes)", at, used)


def _counter(name: str, at: float, values: dict[str, int]) -> Event:
    return {"name": name, "ph": "C", "pid": _PID, "tid": 1, "ts": at, "args": values}


def _metadata(name: str, lane: _Lane, what: str, value: str | int) -> Event:
    pid, tid = lane
    return {"name": name, "ph": "M", "pid": pid, "tid": tid, "ts": 0, "args": {what: value}}


def _complete(  # noqa: PLR0913 - what an event consists of
    run: RunRecord,
    name: str,
    category: str,
    lane: _Lane,
    times: tuple[float, float],
    args: dict[str, Any],
    **more: Any,
) -> Event:
    # Whole nanoseconds: what is inside another event is still so when it has been rounded.
    began, ended = (_nanoseconds(run, at) for at in times)
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "pid": lane.pid,
        "tid": lane.tid,
        "ts": began / 1000,
        "dur": max(ended - began, 0) / 1000,
        "args": args,
        **more,
    }


def _nanoseconds(run: RunRecord, at: float) -> int:
    return round((at - run.started) * 1e9)
