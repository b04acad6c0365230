"""What a run does before it starts its workers, and the report on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prunner import kedro_internals
from prunner.bridge.data import Exchange
from prunner.check.report import Report, Scope, make_report
from prunner.memory import share_inputs
from prunner.planning.plan import RunPlan
from prunner.processes.book import write_book

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

    from prunner.cluster.findings import Findings


def rehearse(
    scope: Scope,
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    look_at: Callable[[Mapping[str, str]], Findings] | None = None,
) -> Report:
    """Make the plan of a run, as the runner makes it, and report on it.

    Args:
        scope: What is checked.
        pipeline: The pipeline.
        catalog: Its catalog, in which all datasets of the pipeline are materialized.
        look_at: Says what is found of a cluster, given the local files of datasets that its workers
            would use; ``None`` without a cluster.

    Returns:
        The report.
    """
    book, pinned = write_book(pipeline, catalog)
    with Exchange.create() as exchange:
        refs = share_inputs(pipeline, catalog, book, pinned, exchange)
        sizes = {name: ref.size for name, ref in refs.items()}
    plan = RunPlan.from_pipeline(pipeline, book.in_memory, pinned)
    report = make_report(scope, plan, book.stuck, sizes)
    if look_at is None:
        return report
    return replace(report, cluster=look_at(kedro_internals.local_paths(catalog, book.datasets)))
