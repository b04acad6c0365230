"""Probe of the order: random graphs of sleeping nodes against their lower bound."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from kedro.pipeline import Pipeline, node

import prunner
from benchmarks.floors.graphs import Graph, random_graph
from benchmarks.floors.samples import Request, Sample
from benchmarks.running import run_once

_WORKERS = 8
_GRAPHS = 50
_QUICK_GRAPHS = 5
_BOUND = 3.0  # seconds of each graph


def against_lower_bound(request: Request) -> Iterator[Sample]:
    """Run each graph twice: when its durations are unknown, and when they are known.

    The rounds share the graphs: all of them together have seen each once.
    """
    runner = prunner.ParallelRunner(_WORKERS)
    _run_graph(runner, random_graph(-1, _WORKERS, 0.2), "warm")
    share = -(-(_QUICK_GRAPHS if request.quick else _GRAPHS) // request.rounds)
    for seed in range((request.round - 1) * share, request.round * share):
        graph = random_graph(seed, _WORKERS, _BOUND)
        bound = graph.lower_bound(_WORKERS)
        for word in ("unknown", "known"):
            whole, inside = _run_graph(runner, graph, f"graph{seed}")
            yield Sample(f"order-{word}", bound, whole)
            yield Sample(f"order-{word}-inside", bound, inside)


def _run_graph(runner: prunner.ParallelRunner, graph: Graph, name: str) -> tuple[float, float]:
    """Seconds of ``run``, and those from the start of the first node to the end of the last."""
    inputs = {f"seconds{index}": seconds for index, seconds in enumerate(graph.seconds)}
    whole, outputs = run_once(runner, _pipeline(graph, name), inputs)
    spans = list(outputs.values())
    return whole, max(end for _, end in spans) - min(start for start, _ in spans)


def _pipeline(graph: Graph, name: str) -> Pipeline:
    # Names of the graph's own: durations of earlier runs are found by them.
    return Pipeline(
        [
            node(
                sleep,
                [f"seconds{index}", *(f"span{parent}" for parent in parents)],
                f"span{index}",
                name=f"{name}-{index}",
            )
            for index, parents in enumerate(graph.parents)
        ]
    )


def sleep(seconds: float, *before: Any) -> tuple[float, float]:
    """Sleep, and say when the first and the last node up to here has started and ended."""
    start = time.monotonic()
    time.sleep(seconds)
    return min([start, *(first for first, _ in before)]), time.monotonic()
