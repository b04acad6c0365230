"""Probes of records: what it costs to keep a run in a session store.

A difference of two runs of some seconds is smaller than the noise of a machine. So the time is
taken of all that is done for the record: its beginning, what is read of earlier runs, and its end.
What workers do for it shows where nodes do nothing, in the last point.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from benchmarks.floors.dispatch import WORKERS, trivial, warm_runner
from benchmarks.floors.samples import Request, Sample
from benchmarks.nodes import calibrate
from benchmarks.running import make_catalog
from benchmarks.workloads import Workload, build
from prunner import ParallelRunner
from prunner.sessions.recording import Recording
from prunner.sessions.records import Outcome
from prunner.sessions.store import SQLiteSessionStore

_SHARE = 0.01  # of a run
_SIZES = {"record-40": (40, 0.05), "record-1000": (1000, 0.01)}  # nodes, seconds of each
_MANY = 1000  # trivial nodes

_Answer = TypeVar("_Answer")


class _Timed(Recording):
    """A recording that knows how long it took."""

    seconds = 0.0

    def known(self, *arguments: Any) -> Any:
        return self._timed(super().known, *arguments)

    def trace(self, *arguments: Any) -> None:
        self._timed(super().trace, *arguments)

    def end(self, *arguments: Any) -> None:
        self._timed(super().end, *arguments)

    def _timed(self, call: Callable[..., _Answer], *arguments: Any) -> _Answer:
        start = perf_counter()
        try:
            return call(*arguments)
        finally:
            self.seconds += perf_counter() - start


def cost(request: Request) -> Iterator[Sample]:
    """Compare what the record takes with its share of the run."""
    count, seconds = _SIZES[request.probe]
    work, runner = build("cpu", count, calibrate(seconds)), warm_runner()
    with tempfile.TemporaryDirectory() as folder:
        _recorded_run(runner, trivial(WORKERS), folder)
        for _ in range(request.repeats):
            whole, record = _recorded_run(runner, work, folder)
            yield Sample(request.probe, _SHARE * whole, record)


def trivial_nodes(request: Request) -> Iterator[Sample]:
    """Compare runs of trivial nodes that are recorded and that are not."""
    work, runner = trivial(_MANY), warm_runner()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(request.repeats):
            start = perf_counter()
            runner.run(work.pipeline, make_catalog(runner, work.inputs))
            without = perf_counter() - start
            yield Sample("record-trivial", without, _recorded_run(runner, work, folder)[0])


def _recorded_run(runner: ParallelRunner, work: Workload, folder: str) -> tuple[float, float]:
    """Seconds of the run, and seconds of all that was done for its record."""
    catalog = make_catalog(runner, work.inputs)
    start = perf_counter()
    store = SQLiteSessionStore(folder, "session")
    store["project_path"] = Path(folder)
    recording = _Timed(store, {"run_id": "run", "runner": str(runner)}, catalog)
    recording.seconds = perf_counter() - start
    runner.run(work.pipeline, catalog)
    recording.end(Outcome.COMPLETED)
    return perf_counter() - start, recording.seconds
