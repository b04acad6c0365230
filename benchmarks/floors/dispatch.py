"""Probes of dispatch: what a node costs if it does nothing.

The nodes return a small number, and ``run`` gives back a dataset for each, as it does in any
project; these are dropped when the clock has stopped. One variant has nodes without outputs, and
one runs no node: what is left is what Kedro does with each dataset before a runner starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Any

from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import AbstractRunner, SequentialRunner

import prunner
from benchmarks.floors.bare import BareLoky, nothing
from benchmarks.floors.samples import Request, Sample
from benchmarks.running import make_catalog, run_once, seconds_of
from benchmarks.workloads import Workload, build

WORKERS = 2
_FEW, _MORE, _MANY = 100, 1000, 10_000  # nodes
_UNUSED = 1000


def make_runner() -> prunner.ParallelRunner:
    """Make the runner that is measured."""
    return prunner.ParallelRunner(WORKERS)


def warm_runner() -> prunner.ParallelRunner:
    """Make the runner, and pay for all that is done only once in a process."""
    runner = make_runner()
    seconds_of(runner, trivial(WORKERS * 5))
    return runner


def trivial(count: int) -> Workload:
    """Make independent nodes that do as good as nothing."""
    return build("trivial", count, 0)


def marginal(few: float, many: float, added: int) -> float:
    """Say what each added node costs.

    Args:
        few: Seconds of a run.
        many: Seconds of a run with more nodes.
        added: How many more.

    Returns:
        Seconds per node.
    """
    return (many - few) / added


def against_loky(request: Request) -> Iterator[Sample]:
    """Compare a node with a bare call, for the number of nodes in the name of the probe."""
    name = request.probe
    count = int(name.rpartition("-")[2])
    runner, few, many = warm_runner(), trivial(_FEW), trivial(count)
    silent = Pipeline([node(_swallow, "argument", None, name=f"node{i}") for i in range(count)])
    with BareLoky(WORKERS) as loky:
        for _ in range(request.repeats if count < _MANY else 1):
            bare_few, bare = loky.seconds(_FEW, nothing), loky.seconds(count, nothing)
            own_few, own = seconds_of(runner, few), seconds_of(runner, many)
            quiet, _ = run_once(runner, silent, {"argument": 1})
            yield Sample(name, bare / count, own / count)
            yield Sample(f"{name}-silent", bare / count, quiet / count)
            yield Sample(f"{name}-kedro", bare / count, _seconds_of_kedro(many) / count)
            added = count - _FEW
            yield Sample(
                f"{name}-marginal", marginal(bare_few, bare, added), marginal(own_few, own, added)
            )


class _NoRunner(SequentialRunner):
    """Leaves out all that a runner does itself."""

    def _run(self, *arguments: Any, **options: Any) -> None:
        """Run nothing."""


def _seconds_of_kedro(work: Workload) -> float:
    runner = _NoRunner()
    catalog = make_catalog(runner, work.inputs)
    start = perf_counter()
    runner.run(work.pipeline, catalog)
    return perf_counter() - start


def growth(request: Request) -> Iterator[Sample]:
    """Compare a node among many with a node among few, once: the rounds repeat it."""
    runner = warm_runner()
    few, more, many = (seconds_of(runner, trivial(size)) for size in (_FEW, _MORE, _MANY))
    yield Sample("growth", few / _FEW, many / _MANY)
    low, high = marginal(few, more, _MORE - _FEW), marginal(more, many, _MANY - _MORE)
    yield Sample("growth-marginal", low, high)


def unused_datasets(request: Request) -> Iterator[Sample]:
    """Compare a large catalog with one that has only what the pipeline uses."""
    runner, work = warm_runner(), trivial(_MORE)
    for _ in range(request.repeats * 2):
        small = make_catalog(runner, work.inputs)
        large = _with_unused(make_catalog(runner, work.inputs))
        limit, _ = run_once(runner, work.pipeline, work.inputs, small)
        figure, _ = run_once(runner, work.pipeline, work.inputs, large)
        yield Sample("catalog", limit, figure)


def _with_unused(catalog: DataCatalog) -> DataCatalog:
    # As a project has them: from its configuration, and not made before somebody asks.
    entry = {"type": "pickle.PickleDataset", "filepath": "unused.pickle"}
    others = DataCatalog.from_config({f"unused{i}": entry for i in range(_UNUSED)})
    for name in catalog:
        others[name] = catalog[name]
    return others


def at_info(request: Request) -> Iterator[Sample]:
    """Compare with ``SequentialRunner`` while Kedro's rich handler shows each step."""
    import kedro.framework.project  # sets logging up, as in each project  # noqa: F401

    sizes = (50, 200)
    few, many = (trivial(size) for size in sizes)
    runner, rival = warm_runner(), SequentialRunner()
    seconds_of(rival, few)
    for _ in range(request.repeats):
        time = partial(_few_and_many, few=few, many=many)
        (limit_few, limit), (own_few, own) = time(rival), time(runner)
        yield Sample("info", limit, own)
        added = sizes[1] - sizes[0]
        yield Sample(
            "info-marginal", marginal(limit_few, limit, added), marginal(own_few, own, added)
        )


def _few_and_many(runner: AbstractRunner, few: Workload, many: Workload) -> tuple[float, float]:
    return seconds_of(runner, few), seconds_of(runner, many)


def _swallow(value: int) -> None:
    """Take a value and give nothing."""
