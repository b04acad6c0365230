"""Probes of failures: what the caller of ``run`` sees, and when."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner
from kedro.runner import ParallelRunner as KedroRunner

import prunner
from benchmarks.nodes import bound
from benchmarks.reliability import marks, nodes
from benchmarks.reliability.cases import WORKERS
from benchmarks.reliability.child import Answer, Request
from benchmarks.running import make_catalog
from benchmarks.subjects import PRUNNER

AGAIN = "until the node runs again, s"
END = "until run() ends, s"


class _Ended(NamedTuple):
    at: float
    values: dict[str, Any]
    error: BaseException | None


def killed(request: Request) -> Answer:
    """Measure from the end of a worker to the end of the run."""
    with tempfile.TemporaryDirectory() as folder:
        ended = _run(request, folder, nodes.kill_at_first)
        (at, _), again = _only(folder, "killed"), marks.find(folder, "again")
    figures = {END: ended.at - at}
    if again is not None:
        figures = {AGAIN: again.at - at, **figures}
    return Answer(figures, _describe(ended))


def raises(request: Request) -> Answer:
    """Measure from an exception in a node to its arrival at the caller."""
    with tempfile.TemporaryDirectory() as folder:
        ended = _run(request, folder, nodes.fail)
        at, _ = _only(folder, "raised")
        began = sum(marks.find(folder, name) is not None for name in _names(request))
    assert isinstance(ended.error, nodes.NodeError), repr(ended.error)
    of_others = f", {began} of {request.others} other nodes ran" if request.others else ""
    return Answer({END: ended.at - at}, f"{_describe(ended)}{of_others}")


def _only(folder: str, name: str) -> marks.Mark:
    mark = marks.find(folder, name)
    assert mark is not None
    return mark


def _names(request: Request) -> list[str]:
    return [f"other{i}" for i in range(request.others)]


def _run(request: Request, folder: str, function: Callable[[str, Sequence[str]], str]) -> _Ended:
    names = _names(request)
    steps = [node(bound(function, folder, names), None, "victim", name="victim")]
    if names:
        # Kedro starts what is ready in any order: the others are ready only when this has ended.
        steps.append(node(bound(nodes.open_gate, folder), None, "gate", name="gate"))
    steps += [_other(folder, name, request.seconds) for name in names]
    runner = _make_runner(request.runner)
    catalog = make_catalog(runner, {})
    try:
        outputs = runner.run(Pipeline(steps), catalog)
    except Exception as error:
        return _Ended(time.monotonic(), {}, error)
    at = time.monotonic()
    values = {name: dataset.load() for name, dataset in outputs.items()}
    assert values == dict.fromkeys(["victim", *names], "done"), values
    return _Ended(at, values, None)


def _other(folder: str, name: str, seconds: float) -> Node:
    return node(bound(nodes.take, folder, name, seconds), "gate", name, name=name)


def _make_runner(runner: str) -> AbstractRunner:
    # Start methods come from the environment.
    return prunner.ParallelRunner(WORKERS, retries=1) if runner == PRUNNER else KedroRunner(WORKERS)


def _describe(ended: _Ended) -> str:
    if ended.error is None:
        return "all results"
    return f"{type(ended.error).__name__}, no results"
