"""Probe of memory: by how much a large array with eight consumers raises the peak."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.child import Request as RunRequest
from benchmarks.environment import measured_environment
from benchmarks.floors.dispatch import WORKERS
from benchmarks.floors.samples import Request, Sample
from benchmarks.nodes import MEGABYTE
from benchmarks.process import Outcome, run_process
from benchmarks.subjects import PRUNNER

_MEGABYTES = 200
_NEXT_TO_NOTHING = 1  # megabyte
_LIMIT = 120.0  # seconds
_INTERVAL = 0.01  # seconds between two looks


def of_eight_consumers(request: Request) -> Iterator[Sample]:
    """Compare what a large array adds to the peak of a small one with its size."""
    for _ in range(request.repeats):
        small, large = _run(_NEXT_TO_NOTHING), _run(_MEGABYTES)
        size = float((_MEGABYTES - _NEXT_TO_NOTHING) * MEGABYTE)
        extra = large.peak_of_processes - small.peak_of_processes
        yield Sample("handoff-8-memory", size, float(extra))
        yield Sample("handoff-8-files", size, float(large.peak - small.peak))


def _run(megabytes: int) -> Outcome:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        asked, answer = Path(name, "request.json"), Path(name, "answer.json")
        RunRequest("array-for-8", (megabytes,), 0, 0, PRUNNER, "loky", WORKERS).write(asked)
        command = [sys.executable, "-m", "benchmarks.child", str(asked), str(answer)]
        done = run_process(command, measured_environment(), Path(name), _LIMIT, _INTERVAL)
        assert done.status == "ok", done.last_line
        return done
