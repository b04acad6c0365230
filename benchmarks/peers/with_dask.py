"""Dask: a local cluster, functions submitted as futures, futures as arguments of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from distributed import Client, LocalCluster

from benchmarks import nodes
from benchmarks.peers.work import READERS, WORKERS, Run, Work


@contextmanager
def started() -> Iterator[Run]:
    """Start Dask."""
    with (
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):

        def run(work: Work) -> Sequence[float]:
            # Not pure: equal calls would be computed once, and kept for the next run.
            if work.kind == "array":
                array = client.submit(nodes.make_array, work.size, pure=False)
                ends = [client.submit(nodes.total, array, pure=False) for _ in range(READERS)]
            elif work.kind == "cpu":
                ends = client.map(nodes.spin, [work.loops] * work.size, pure=False)
            else:
                ends = client.map(nodes.trivial, [1] * work.size, pure=False)
            results: Sequence[float] = client.gather(ends)
            return results

        yield run
