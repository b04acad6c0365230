"""What is measured: each point with its limit and its target, in words and numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.tables import number

KINDS = {
    "array": "a 200 MB float64 array",
    "pandas": "a 200 MB pandas DataFrame (numbers and strings)",
    "polars": "a 200 MB polars DataFrame (numbers and strings)",
    "arrow": "a 200 MB arrow table",
}

GROUPS = {
    "dispatch": "Dispatch: what a node costs",
    "hand-off": "Hand-off: how fast data moves",
    "order": "Order: how near the end is to the lower bound",
    "cold start": "Cold start: the whole process",
    "warm runs": "Warm runs: start-up of a later run",
    "records": "Records: what a session store costs",
    "CPU use": "CPU use: two workers on two cores",
    "cluster": "Cluster: what a node costs under DaskRunner",
}


_SCALES = {"us": 1e6, "ms": 1e3, "s": 1.0, "MB": 1e-6, "B": 1.0}


@dataclass(frozen=True)
class Point:
    """One ratio that is measured.

    Attributes:
        name: What it is called.
        probe: What measures it.
        group: To which of ``GROUPS`` it belongs.
        title: What prunner's figure is, in words.
        limit: What the limit is, in words.
        unit: ``us``, ``ms``, ``s``, ``MB`` or ``B``, for both.
        target: What the ratio may be at most; ``None`` for what is only good to know.
    """

    name: str
    probe: str
    group: str
    title: str
    limit: str
    unit: str
    target: float | None = None


def _dispatch(count: int) -> list[Point]:
    name, group, loky = f"dispatch-{count}", "dispatch", "bare loky call"
    nodes = f"per node, {count:,} trivial nodes"
    return [
        Point(name, name, group, nodes, loky, "us", 1.0),
        Point(f"{name}-silent", name, group, f"{nodes} without outputs", loky, "us", 1.0),
        Point(f"{name}-kedro", name, group, f"{nodes}, what Kedro does itself", loky, "us"),
        Point(f"{name}-marginal", name, group, f"{nodes}, beyond the first 100", loky, "us"),
    ]


def _handoff(kind: str) -> list[Point]:
    name, group, what = f"handoff-{kind}", "hand-off", KINDS[kind]
    write = "one write() + 5 ms"
    return [
        Point(name, name, group, f"{what} to another worker", write, "ms", 1.1),
        Point(f"{name}-chain", name, group, f"{what} to the only consumer", write, "ms", 1.1),
        Point(f"{name}-copy", name, group, f"{what} to another worker", "one memcpy", "ms", 1.5),
        Point(
            f"{name}-chain-copy",
            name,
            group,
            f"{what} to the only consumer",
            "one memcpy",
            "ms",
            1.5,
        ),
    ]


def _cluster() -> list[Point]:
    group, bare, apart = "cluster", "bare Dask task", "dask-apart-10000"
    parts = (
        ("first", "10,000 nodes: run() until the first one begins", "s"),
        ("bytes", "per node, bytes of the pickled graph", "B"),
        ("client", "per node, CPU time of the client", "us"),
        ("scheduler", "per node, CPU time of the scheduler", "us"),
        ("workers", "per node, CPU time of the workers", "us"),
        ("memory", "per node, by how much the scheduler grew", "B"),
    )
    return [
        Point("dask-10", "dask-10", group, "a run of 10 trivial nodes", bare, "ms"),
        *(
            Point(name, name, group, f"per node, {count} trivial nodes", bare, "us", 1.5)
            for name, count in (("dask-1000", "1,000"), ("dask-10000", "10,000"))
        ),
        Point("dask-start", "dask-start", group, "10 nodes, cluster started for them", bare, "s"),
        Point(apart, apart, group, "per node, scheduler in a process of its own", bare, "us"),
        *(Point(f"{apart}-{part}", apart, group, title, bare, unit) for part, title, unit in parts),
    ]


_MILLION = "a million small tuples"
_PICKLE = "dumps + loads"

POINTS = (
    *_dispatch(1000),
    *_dispatch(10_000),
    Point(
        "growth", "growth", "dispatch", "per node, 10,000 nodes", "per node, 100 nodes", "us", 1.3
    ),
    Point(
        "growth-marginal",
        "growth",
        "dispatch",
        "per node, from 1,000 to 10,000",
        "per node, from 100 to 1,000",
        "us",
    ),
    Point(
        "catalog",
        "catalog",
        "dispatch",
        "1,000 nodes, 1,000 unused datasets",
        "the same without these",
        "ms",
        1.05,
    ),
    Point("info", "info", "dispatch", "200 nodes, logging at INFO", "SequentialRunner", "ms", 1.1),
    Point(
        "info-marginal",
        "info",
        "dispatch",
        "per node, logging at INFO, beyond the first 50",
        "SequentialRunner",
        "ms",
    ),
    *(point for kind in KINDS for point in _handoff(kind)),
    Point(
        "handoff-8-consumers",
        "handoff-8-consumers",
        "hand-off",
        "a 200 MB array to the last of 8 consumers",
        "one write() + 5 ms",
        "ms",
        1.1,
    ),
    Point(
        "handoff-8-memory",
        "handoff-8-memory",
        "hand-off",
        "8 consumers: extra peak PSS of the processes",
        "size of the data",
        "MB",
        1.3,
    ),
    Point(
        "handoff-8-files",
        "handoff-8-memory",
        "hand-off",
        "the same with files in memory that no process has mapped",
        "size of the data",
        "MB",
    ),
    Point(
        "handoff-million",
        "handoff-million",
        "hand-off",
        f"{_MILLION} to another worker",
        _PICKLE,
        "ms",
        1.2,
    ),
    Point(
        "handoff-million-chain",
        "handoff-million",
        "hand-off",
        f"{_MILLION} to the only consumer",
        _PICKLE,
        "ms",
        1.2,
    ),
    Point("order-known", "order", "order", "run(), durations known", "lower bound", "s", 1.05),
    Point("order-unknown", "order", "order", "run(), durations unknown", "lower bound", "s", 1.15),
    Point(
        "order-known-inside",
        "order",
        "order",
        "first start to last end, durations known",
        "lower bound",
        "s",
    ),
    Point(
        "order-unknown-inside",
        "order",
        "order",
        "first start to last end, durations unknown",
        "lower bound",
        "s",
    ),
    Point(
        "cold-start", "cold-start", "cold start", "kedro run, time", "SequentialRunner", "s", 1.3
    ),
    Point(
        "cold-start-cpu",
        "cold-start",
        "cold start",
        "kedro run, CPU time of all processes",
        "SequentialRunner",
        "s",
        2.2,
    ),
    Point("warm", "warm", "warm runs", "second run() of one trivial node", "20 ms", "ms", 1.0),
    *(
        Point(name, name, "records", f"all for the record of {nodes}", "1 % of the run", "ms", 1.0)
        for name, nodes in (
            ("record-40", "40 nodes of 50 ms"),
            ("record-1000", "1,000 nodes of 10 ms"),
        )
    ),
    Point("record-trivial", "record-trivial", "records", "1,000 trivial nodes", "no record", "ms"),
    Point("cpu", "cpu", "CPU use", "40 nodes of 50 ms", "half of SequentialRunner", "s", 1.1),
    Point("cpu-loky", "cpu", "CPU use", "40 nodes of 50 ms", "40 bare loky calls", "s"),
    *_cluster(),
)


def in_unit(value: float, unit: str) -> str:
    """Write a figure with its unit."""
    return f"{number(value * _SCALES[unit])} {unit}"


def select(only: Iterable[str]) -> list[str]:
    """Choose what to measure.

    Args:
        only: Names of points or probes, or their beginnings (``handoff``); empty for all.

    Returns:
        The probes, in the order in which they run.

    Raises:
        ValueError: If a name fits nothing.
    """
    probes = list(dict.fromkeys(point.probe for point in POINTS))
    wanted = list(only)
    if not wanted:
        return probes
    chosen = {name: _fitting(name) for name in wanted}
    unknown = [name for name, found in chosen.items() if not found]
    if unknown:
        known = ", ".join(probes)
        raise ValueError(f"Unknown point: {', '.join(unknown)}. There are: {known}.")
    kept = set().union(*chosen.values())
    return [probe for probe in probes if probe in kept]


def _fitting(name: str) -> set[str]:
    exact = {point.probe for point in POINTS if name in (point.name, point.probe)}
    return exact or {point.probe for point in POINTS if point.probe.startswith(f"{name}-")}
