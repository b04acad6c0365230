"""Kedro's runners and prunner: a pipeline and a catalog, as in a project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from kedro.runner import AbstractRunner, ParallelRunner, SequentialRunner, ThreadRunner

from benchmarks.peers.work import WORKERS, Run, Work
from benchmarks.running import run_once
from benchmarks.workloads import build


def prunner() -> AbstractContextManager[Run]:
    """Start prunner."""
    import prunner

    return _started(partial(prunner.ParallelRunner, WORKERS))


def sequential() -> AbstractContextManager[Run]:
    """Start Kedro's ``SequentialRunner``."""
    return _started(SequentialRunner)


def thread() -> AbstractContextManager[Run]:
    """Start Kedro's ``ThreadRunner``."""
    return _started(partial(ThreadRunner, WORKERS))


def parallel() -> AbstractContextManager[Run]:
    """Start Kedro's ``ParallelRunner``."""
    return _started(partial(ParallelRunner, WORKERS))


@contextmanager
def _started(make: Callable[[], AbstractRunner]) -> Iterator[Run]:
    runner = make()
    pipelines = {}

    def run(work: Work) -> Sequence[float]:
        # The pipeline of a project is made once, its catalog for each run.
        if work not in pipelines:
            pipelines[work] = build(work.kind, work.size, work.loops)
        made = pipelines[work]
        _, outputs = run_once(runner, made.pipeline, made.inputs)
        return list(outputs.values())

    yield run
