"""Probes of many runs in one process: memory, open files and threads must not grow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import psutil
from kedro.pipeline import Pipeline, node

import prunner
from benchmarks.load.child import PEAK, TIME
from benchmarks.load.graphs import WORKERS
from benchmarks.load.watch import open_files, peak_of_parent, resident, workers
from benchmarks.nodes import make_array, total, trivial
from benchmarks.running import make_catalog, run_once

# Not at those runs after which usage is looked at: a run that fails keeps no workers.
_FAILS_EVERY, _FIRST_FAILS = 10, 4  # runs
_DIES_EVERY, _FIRST_DIES = 25, 8
_FIRST_LOOK = 0.1  # of all runs
_MEMORY_SLACK = 1.1, 5.0  # times, and megabytes more
# Which worker makes the array is chance, and whoever makes one keeps a file to be written over.
_FILES_SLACK = 4
_SUM = 125_000.0  # of an array of one megabyte of ones


@dataclass(frozen=True)
class Usage:
    """What this process and its workers use.

    Attributes:
        parent: Megabytes of memory of this process.
        workers: Megabytes of memory of the worker that has the most.
        files: How many files this process has open.
        worker_files: How many the worker has open that has the most.
        threads: How many threads this process has.
    """

    parent: float
    workers: float
    files: int
    worker_files: int
    threads: int

    @classmethod
    def now(cls) -> Usage:
        """Look at them."""
        here, below = psutil.Process(), workers()
        return cls(
            parent=resident(here),
            workers=max(map(resident, below), default=0.0),
            files=open_files(here),
            worker_files=max(map(open_files, below), default=0),
            threads=threading.active_count(),
        )

    def grown(self, before: Usage) -> list[tuple[str, float, float]]:
        """Say what is more than it was before, beyond what may be by chance, with both figures."""
        times, more = _MEMORY_SLACK
        pairs = [
            ("memory of the parent", before.parent, self.parent, times, more),
            ("memory of a worker", before.workers, self.workers, times, more),
            ("files of the parent", before.files, self.files, 1, _FILES_SLACK),
            ("files of a worker", before.worker_files, self.worker_files, 1, _FILES_SLACK),
            ("threads", before.threads, self.threads, 1, 0),
        ]
        return [
            (name, old, new) for name, old, new, times, more in pairs if new > old * times + more
        ]

    def figures(self, runs: int) -> dict[str, float]:
        """The same as figures by their names."""
        found = {
            "MB of the parent": self.parent,
            "MB of a worker": self.workers,
            "files of the parent": self.files,
            "files of a worker": self.worker_files,
            "threads": self.threads,
        }
        return {f"{name} after {runs} runs": value for name, value in found.items()}


def kept(runs: int) -> dict[str, float]:
    """Run again and again with workers that are kept."""
    return _soak(prunner.ParallelRunner(WORKERS), runs)


def fresh(runs: int) -> dict[str, float]:
    """Run again and again with workers that go with their run."""
    return _soak(prunner.ParallelRunner(WORKERS, idle_timeout=0), runs)


def _soak(runner: prunner.ParallelRunner, runs: int) -> dict[str, float]:
    first = max(1, round(runs * _FIRST_LOOK))
    start, before = perf_counter(), None
    for number in range(1, runs + 1):
        _run(runner, number)
        if number == first:
            before = Usage.now()
    after = Usage.now()
    assert before is not None
    seconds, figures = perf_counter() - start, {**before.figures(first), **after.figures(runs)}
    assert not after.grown(before), f"grown from run {first} to {runs}: {after.grown(before)}"
    return {TIME: seconds, PEAK: peak_of_parent(), **figures}


def _run(runner: prunner.ParallelRunner, number: int) -> None:
    if number % _DIES_EVERY == _FIRST_DIES:
        _fail(runner, _die, prunner.WorkerDied)
    elif number % _FAILS_EVERY == _FIRST_FAILS:
        _fail(runner, _raise, ZeroDivisionError)
    else:
        _, outputs = run_once(runner, _pipeline(), {"megabytes": 1, "number": number})
        assert outputs == {"total": _SUM, "again": _SUM, "next": number + 1}, outputs


def _pipeline() -> Pipeline:
    return Pipeline(
        [
            node(make_array, "megabytes", "array", name="maker"),
            node(total, "array", "total", name="reader"),
            node(total, "array", "again", name="another-reader"),
            node(trivial, "number", "next", name="trivial"),
        ]
    )


def _fail(
    runner: prunner.ParallelRunner, function: Callable[[object], float], kind: type[Exception]
) -> None:
    failing = node(function, "array", "never", name="failing")
    data = {"megabytes": 1, "number": 1}
    try:
        runner.run(Pipeline([*_pipeline().nodes, failing]), make_catalog(runner, data))
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


def _raise(array: object) -> float:
    raise ZeroDivisionError("as it is to be")


def _die(array: object) -> float:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    raise AssertionError("not killed")
