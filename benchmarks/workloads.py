"""The pipelines of the cases, made inside the measured process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kedro.pipeline import Pipeline, node

from benchmarks import nodes

# How many nodes read the array of a kind.
READERS = {"array": 4, "array-for-8": 8}


@dataclass(frozen=True)
class Workload:
    """A pipeline, what goes into it, and what has to come out.

    Attributes:
        pipeline: The pipeline.
        inputs: The data of its free inputs.
        expected: The value that every output of the pipeline must have.
    """

    pipeline: Pipeline
    inputs: dict[str, Any]
    expected: Any


def build(kind: str, size: int, loops: int) -> Workload:
    """Make the pipeline of a case.

    Args:
        kind: The kind of the case.
        size: The number of nodes; for an array its megabytes.
        loops: What a CPU-bound node has to do.

    Returns:
        The pipeline with its data.
    """
    if kind == "chain":
        steps = [node(nodes.trivial, f"d{i}", f"d{i + 1}", name=f"node{i}") for i in range(size)]
        return Workload(Pipeline(steps), {"d0": 0}, size)
    if kind in READERS:
        readers = range(READERS[kind])
        steps = [node(nodes.total, "array", f"total{i}", name=f"reader{i}") for i in readers]
        maker = node(nodes.make_array, "megabytes", "array", name="maker")
        expected = size * nodes.MEGABYTE // 8
        return Workload(Pipeline([maker, *steps]), {"megabytes": size}, expected)
    if kind == "cpu":
        return _independent(nodes.spin, size, loops, nodes.spin(loops))
    return _independent(nodes.trivial, size, 1, 2)


def _independent(
    function: Callable[[int], int], count: int, argument: int, expected: int
) -> Workload:
    steps = [node(function, "argument", f"out{i}", name=f"node{i}") for i in range(count)]
    return Workload(Pipeline(steps), {"argument": argument}, expected)
