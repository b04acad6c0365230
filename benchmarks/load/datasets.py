"""Probes of datasets: many at once, many of one node, and with odd names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from kedro.pipeline import Pipeline, node
from kedro.runner import AbstractRunner, SequentialRunner

import prunner
from benchmarks.load.child import PEAK, SEQUENTIAL, TIME
from benchmarks.load.graphs import WORKERS
from benchmarks.load.watch import descriptors_counted, peak_of_parent
from benchmarks.nodes import Array, bound
from benchmarks.running import run_once

_NUMBERS = 2_500  # 20 KB: more than what rides in a message
_SEQUENTIAL = 500  # datasets
_FEW = 20  # datasets, whose number of open files is compared with that of many
_SLACK = 10  # open files that may be there by chance, such as those of a worker that starts
_USUAL_LIMIT = 1024  # open files of a process


def alive(size: int) -> dict[str, float]:
    """Let a node be in the way of all that read arrays, until all of these have been made."""
    return _with_few_files(size, _held_back)


def inputs(size: int) -> dict[str, float]:
    """Let one node read all arrays."""
    return _with_few_files(size, _read_by_one)


def outputs(size: int) -> dict[str, float]:
    """Let one node return all datasets, and another one read them."""
    seconds = _sum_of(prunner.ParallelRunner(WORKERS), _of_one_node(size), size)
    peak = peak_of_parent()
    # Kedro's own takes four times as long for twice the datasets.
    few = min(size, _SEQUENTIAL)
    sequential = _sum_of(SequentialRunner(), _of_one_node(few), few)
    return {TIME: seconds, PEAK: peak, f"SequentialRunner with {few:,} outputs, s": sequential}


def _of_one_node(size: int) -> Pipeline:
    names = [f"out{i}" for i in range(size)]
    maker = node(bound(_numbers, size), "start", names, name="maker")
    return Pipeline([maker, node(_sum, names, "sum", name="reader")])


def names(length: int) -> dict[str, float]:
    """Run nodes whose names, and those of their datasets, are as odd as Kedro allows."""
    odd = odd_names(length)
    steps = []
    for i, (dataset, name) in enumerate(odd):
        steps.append(node(bound(_array, i), None, dataset, name=f"{name}.made"))
        steps.append(node(_first, dataset, f"{dataset} read", name=f"{name}.read"))
    return {**_compared(Pipeline(steps), {}), "names": len(odd)}


def odd_names(length: int) -> list[tuple[str, str]]:
    """Names of datasets, which may be nearly anything, each with one of a node, which may not."""
    datasets = [
        *(
            "with space",
            " ",
            "a/b",
            "/a",
            "../up",
            "..",
            "C:\\a",
            "a:b",
            "CON",
            "%s %d",
            "*?<>|\"'",
        ),
        *(
            "line\nbreak",
            "tab\t",
            "\x00",
            "\x7f",
            "datos_ñ",
            "数据",
            "данные",
            "e\u0301",
            "\u202eback",
        ),
        *("\U0001f600", "\ud800", "n" * length, "数" * length),
    ]
    nodes = [
        "node",
        "a.b",
        "..",
        "-",
        "数据",
        "данные",
        "ñ",
        "e\u0301"[:1],
        "n" * length,
        "数" * length,
    ]
    return [(dataset, f"{nodes[i % len(nodes)]}.{i}") for i, dataset in enumerate(datasets)]


def _with_few_files(size: int, make: Callable[[int], Pipeline]) -> dict[str, float]:
    _limit_open_files()
    runner = prunner.ParallelRunner(WORKERS)
    with descriptors_counted() as few:
        _sum_of(runner, make(_FEW), _FEW)
        few.look()
    with descriptors_counted() as many:
        seconds = _sum_of(runner, make(size), size)
    peak = peak_of_parent()
    figures = {
        TIME: seconds,
        PEAK: peak,
        f"files open in the parent with {_FEW}": few.parent,
        f"files open in the parent with {size:,}": many.parent,
        f"files open in a worker with {_FEW}": few.worker,
        f"files open in a worker with {size:,}": many.worker,
    }
    grown = max(many.parent - few.parent, many.worker - few.worker)
    assert grown <= _SLACK, f"with {size:,} in place of {_FEW} datasets: {few} -> {many}"
    return figures


def _limit_open_files() -> None:
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_USUAL_LIMIT, hard))


def _sum_of(runner: AbstractRunner, pipeline: Pipeline, size: int) -> float:
    seconds, found = run_once(runner, pipeline, {"start": 0})
    assert found == {"sum": size * (size - 1) / 2}, found
    return seconds


def _held_back(size: int) -> Pipeline:
    """Each array has a reader, which also needs what a node makes of a token of each array."""
    makers = [
        node(bound(_array_and_token, i), "start", [f"array{i}", f"token{i}"], name=f"make{i}")
        for i in range(size)
    ]
    tokens = [f"token{i}" for i in range(size)]
    readers = [
        node(_first_if, [f"array{i}", "tokens"], f"first{i}", name=f"read{i}") for i in range(size)
    ]
    ends = [
        node(_sum, tokens, "tokens", name="barrier"),
        node(_sum, [f"first{i}" for i in range(size)], "sum", name="end"),
    ]
    return Pipeline([*makers, *readers, *ends])


def _read_by_one(size: int) -> Pipeline:
    makers = [node(bound(_array_of, i), "start", f"array{i}", name=f"make{i}") for i in range(size)]
    end = node(_sum_of_first, [f"array{i}" for i in range(size)], "sum", name="end")
    return Pipeline([*makers, end])


def _compared(pipeline: Pipeline, data: dict[str, Any]) -> dict[str, float]:
    seconds, found = run_once(prunner.ParallelRunner(WORKERS), pipeline, data)
    peak = peak_of_parent()
    sequential, expected = run_once(SequentialRunner(), pipeline, data)
    assert found == expected, "results differ from those of SequentialRunner"
    return {TIME: seconds, SEQUENTIAL: sequential, PEAK: peak}


def _array(value: int) -> Array:
    return np.full(_NUMBERS, float(value))


def _array_of(value: int, start: int) -> Array:
    return _array(value + start)


def _array_and_token(value: int, start: int) -> tuple[Array, int]:
    return _array(value + start), value


def _first(array: Array) -> float:
    return float(array[0])


def _first_if(array: Array, tokens: int) -> float:
    assert tokens >= 0
    return _first(array)


def _sum_of_first(*arrays: Array) -> float:
    return sum(map(_first, arrays))


def _numbers(size: int, start: int) -> list[int]:
    return list(range(start, start + size))


def _sum(*numbers: float) -> float:
    return sum(numbers)
