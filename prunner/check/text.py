"""A report as text for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from prunner.check.report import Parcel, Report


def as_json(report: Report) -> str:
    """The report as a JSON object.

    Args:
        report: The report.

    Returns:
        Its attributes under their own names, and ``verdict``.
    """
    return json.dumps({**asdict(report), "verdict": report.verdict}, indent=2, ensure_ascii=False)


def as_text(report: Report) -> str:
    """The report for people.

    Args:
        report: The report.

    Returns:
        Several lines, the last of which is the verdict.
    """
    return "\n".join([*_head(report), *_nodes(report), *_data(report), "", report.verdict])


def _head(report: Report) -> Iterator[str]:
    scope = report.scope
    label = "Pipeline" if len(scope.pipelines) == 1 else "Pipelines"
    yield f"{'Project':<12}{scope.project}"
    yield f"{label:<12}{', '.join(scope.pipelines)}"
    yield f"{'Nodes':<12}{len(report.nodes)}"
    yield f"{'Workers':<12}{report.workers} at most, start method '{scope.start_method}'"


def _nodes(report: Report) -> Iterator[str]:
    free = [node.name for node in report.nodes if node.stays_because is None]
    yield from _section("In workers", free)
    stay = [
        f"{node.name}\n      {node.stays_because}"
        for node in report.nodes
        if node.stays_because is not None
    ]
    yield from _section("In the main process", stay)


def _data(report: Report) -> Iterator[str]:
    names = [parcel.dataset for parcel in report.parcels]
    width = max(map(len, names), default=0)
    lines = [f"{parcel.dataset:<{width}}  {_describe(parcel)}" for parcel in report.parcels]
    yield from _section("Data in memory that goes between processes", lines)
    stuck = [f"{dataset.name}\n      {dataset.reason}" for dataset in report.stuck]
    yield from _section("Datasets that cannot leave the main process", stuck)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    if listed:
        yield ""
        yield f"{title} ({len(listed)})"
        yield from (f"  {line}" for line in listed)


def _describe(parcel: Parcel) -> str:
    targets = [("workers", parcel.to_workers), ("the main process", parcel.to_main)]
    to = " and ".join(where for where, goes in targets if goes)
    if parcel.made_by is not None:
        return f"made by '{parcel.made_by}', to {to}"
    if parcel.size is None:
        return f"an input without data, to {to}"
    return f"{parcel.size:,} bytes, to {to}"
