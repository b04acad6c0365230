"""Probe of the use of the CPU: nodes that keep one core busy each."""

from __future__ import annotations

from collections.abc import Iterator

from kedro.runner import SequentialRunner

from benchmarks.floors.bare import BareLoky
from benchmarks.floors.dispatch import WORKERS, warm_runner
from benchmarks.floors.samples import Request, Sample
from benchmarks.nodes import calibrate, spin
from benchmarks.running import seconds_of
from benchmarks.workloads import build

_NODES = 40
_SECONDS = 0.05  # of each node


def against_sequential(request: Request) -> Iterator[Sample]:
    """Compare with the fair share of the sequential time, and with bare calls of the same."""
    loops = calibrate(_SECONDS)
    work, runner = build("cpu", _NODES, loops), warm_runner()
    with BareLoky(WORKERS) as loky:
        for _ in range(request.repeats):
            share = seconds_of(SequentialRunner(), work) / WORKERS
            figure = seconds_of(runner, work)
            bare = loky.seconds(_NODES, spin, loops)
            yield Sample("cpu", share, figure)
            yield Sample("cpu-loky", bare, figure)
