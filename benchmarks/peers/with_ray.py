"""Ray: remote functions, references as arguments of others."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ray

from benchmarks import nodes
from benchmarks.peers.work import READERS, WORKERS, Run, Work


@contextmanager
def started() -> Iterator[Run]:
    """Start Ray."""
    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR)
    trivial, spin = ray.remote(nodes.trivial), ray.remote(nodes.spin)
    make_array, total = ray.remote(nodes.make_array), ray.remote(nodes.total)

    def run(work: Work) -> Sequence[float]:
        if work.kind == "array":
            array = make_array.remote(work.size)
            ends = [total.remote(array) for _ in range(READERS)]
        elif work.kind == "cpu":
            ends = [spin.remote(work.loops) for _ in range(work.size)]
        else:
            ends = [trivial.remote(1) for _ in range(work.size)]
        results: Sequence[float] = ray.get(ends)
        return results

    try:
        yield run
    finally:
        ray.shutdown()
