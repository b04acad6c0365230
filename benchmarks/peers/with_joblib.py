"""joblib: parallel calls by loky, whose workers stay for the next ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from joblib import Parallel, delayed

from benchmarks import nodes
from benchmarks.peers.work import READERS, WORKERS, Run, Work


@contextmanager
def started() -> Iterator[Run]:
    """Start joblib, which starts its workers with the first call."""
    yield _run


def _run(work: Work) -> Sequence[float]:
    if work.kind == "array":
        array = nodes.make_array(work.size)
        calls = [delayed(nodes.total)(array) for _ in range(READERS)]
    elif work.kind == "cpu":
        calls = [delayed(nodes.spin)(work.loops) for _ in range(work.size)]
    else:
        calls = [delayed(nodes.trivial)(1) for _ in range(work.size)]
    results: Sequence[float] = Parallel(n_jobs=WORKERS)(calls)
    return results
