"""Probe of warm runs: what a run costs that is not the first of its process."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.floors.dispatch import make_runner, trivial
from benchmarks.floors.samples import Request, Sample
from benchmarks.running import seconds_of

_LIMIT = 0.020  # seconds


def second_run(request: Request) -> Iterator[Sample]:
    """Time a run of one trivial node, the first of which is not counted."""
    runner, work = make_runner(), trivial(1)
    seconds_of(runner, work)
    for _ in range(request.repeats):
        yield Sample("warm", _LIMIT, seconds_of(runner, work))
