"""One run of a pipeline inside a measured process: timed, and its outputs checked."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline
    from kedro.runner import AbstractRunner

    from benchmarks.workloads import Workload


def make_catalog(runner: AbstractRunner, inputs: dict[str, Any]) -> DataCatalog:
    """Make the catalog of a run, as the session does it."""
    from kedro.io import DataCatalog, MemoryDataset, SharedMemoryDataCatalog
    from kedro.runner import ParallelRunner

    kind = SharedMemoryDataCatalog if isinstance(runner, ParallelRunner) else DataCatalog
    return kind({name: MemoryDataset(value) for name, value in inputs.items()})


def run_once(
    runner: AbstractRunner,
    pipeline: Pipeline,
    inputs: dict[str, Any],
    catalog: DataCatalog | None = None,
) -> tuple[float, dict[str, Any]]:
    """Run a pipeline, with a fresh catalog unless one is given.

    Args:
        runner: Who runs it.
        pipeline: The pipeline.
        inputs: The data of its free inputs.
        catalog: A catalog that has them already.

    Returns:
        Seconds of ``run``, and the data of all free outputs.
    """
    used = make_catalog(runner, inputs) if catalog is None else catalog
    start = perf_counter()
    outputs = runner.run(pipeline, used)
    seconds = perf_counter() - start
    assert set(outputs) == pipeline.outputs()
    return seconds, {name: dataset.load() for name, dataset in outputs.items()}


def seconds_of(runner: AbstractRunner, work: Workload) -> float:
    """Run a pipeline and check each of its outputs.

    Args:
        runner: Who runs it.
        work: The pipeline with its data.

    Returns:
        Seconds of ``run``.
    """
    seconds, outputs = run_once(runner, work.pipeline, work.inputs)
    wrong = [name for name, value in outputs.items() if value != work.expected]
    assert not wrong, f"wrong outputs: {wrong}"
    return seconds
