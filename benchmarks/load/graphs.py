"""Probe of large graphs: half of the nodes in layers, half in chains."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from kedro.pipeline import Pipeline, node
from kedro.runner import AbstractRunner, SequentialRunner

import prunner
from benchmarks.load.child import PEAK, TIME
from benchmarks.load.watch import peak_of_parent
from benchmarks.nodes import trivial
from benchmarks.running import run_once

WORKERS = 2

_WIDTH = 100  # nodes of a layer, and chains
_SEQUENTIAL = 600  # nodes
_MODULUS = 1_000_003


def many_nodes(size: int) -> dict[str, float]:
    """Run a graph of that size, and one of half the size, which shows how the time grows."""
    runner = prunner.ParallelRunner(WORKERS)
    _run(runner, _WIDTH * 2)  # workers are started
    half, whole = _run(runner, size // 2), _run(runner, size)
    peak = peak_of_parent()
    # Kedro's own takes four times as long for twice the nodes.
    few = min(size, _SEQUENTIAL)
    return {
        TIME: whole,
        f"time of {size // 2:,} nodes, s": half,
        f"time of {few:,} nodes, s": _run(runner, few),
        f"SequentialRunner with {few:,} nodes, s": _run(SequentialRunner(), few),
        PEAK: peak,
    }


def failure(size: int) -> dict[str, float]:
    """Let a node raise in the first layer of such a graph, when workers have been started."""
    runner = prunner.ParallelRunner(WORKERS)
    _fail(runner, _WIDTH * 2)
    seconds, peak, few = _fail(runner, size), peak_of_parent(), min(size, _SEQUENTIAL)
    sequential = _fail(SequentialRunner(), few)
    return {TIME: seconds, PEAK: peak, f"SequentialRunner with {few:,} nodes, s": sequential}


def _fail(runner: AbstractRunner, size: int) -> float:
    pipeline, _ = layers_and_chains(size)
    failing = node(divide_by_zero, _layer(0, 0), "never", name="failing")
    whole, start = pipeline + Pipeline([failing]), perf_counter()
    try:
        run_once(runner, whole, {"start": 1})
    except ZeroDivisionError:
        return perf_counter() - start
    raise AssertionError("no exception")


def divide_by_zero(number: int) -> float:
    """Raise an exception."""
    return number / 0


def add(one: int, other: int) -> int:
    """Add two numbers, and keep the sum small."""
    return (one + other) % _MODULUS


def _run(runner: AbstractRunner, size: int) -> float:
    pipeline, expected = layers_and_chains(size)
    seconds, outputs = run_once(runner, pipeline, {"start": 1})
    assert outputs == expected, "wrong results"
    return seconds


def layers_and_chains(size: int) -> tuple[Pipeline, dict[str, Any]]:
    """Make a pipeline.

    Args:
        size: The number of nodes: a multiple of twice the width of a layer.

    Returns:
        The pipeline, and what its outputs must be.
    """
    steps, depth = [], size // 2 // _WIDTH
    layer = [1] * _WIDTH
    for level in range(depth):
        for i in range(_WIDTH):
            j = (i + level + 1) % _WIDTH
            inputs = (
                ["start", "start"] if level == 0 else [_layer(level - 1, i), _layer(level - 1, j)]
            )
            steps.append(node(add, inputs, _layer(level, i), name=f"layer{level}-{i}"))
            before = "start" if level == 0 else f"chain{level - 1}-{i}"
            steps.append(node(trivial, before, f"chain{level}-{i}", name=f"link{level}-{i}"))
        layer = [add(layer[i], layer[(i + level + 1) % _WIDTH]) for i in range(_WIDTH)]
    expected = {_layer(depth - 1, i): value for i, value in enumerate(layer)}
    expected.update({f"chain{depth - 1}-{i}": 1 + depth for i in range(_WIDTH)})
    return Pipeline(steps), expected


def _layer(level: int, i: int) -> str:
    return f"sum{level}-{i}"
