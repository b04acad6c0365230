"""Probe of memory: by how much a large array with eight consumers raises the peak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from benchmarks.asking import ask
from benchmarks.child import Request as RunRequest
from benchmarks.environment import measured_environment
from benchmarks.floors.dispatch import WORKERS
from benchmarks.floors.samples import Request, Sample
from benchmarks.nodes import MEGABYTE
from benchmarks.process import Outcome
from benchmarks.records import OK
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
    request = RunRequest("array-for-8", (megabytes,), 0, 0, PRUNNER, "loky", WORKERS)
    done, _ = ask("benchmarks.child", asdict(request), measured_environment(), _LIMIT, _INTERVAL)
    assert done.status == OK, done.last_line
    return done
