"""A report as text for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from prunner.check.report import Parcel, Report
from prunner.cluster.findings import Findings, Host


def as_json(report: Report) -> str:
    """The report as a JSON object.

    Args:
        report: The report.

    Returns:
        Its attributes under their own names, and ``verdict``; ``cluster`` only if there is one.
    """
    found = {**asdict(report), "verdict": report.verdict}
    if report.cluster is None:
        del found["cluster"]
    return json.dumps(found, indent=2, ensure_ascii=False)


def as_text(report: Report) -> str:
    """The report for people.

    Args:
        report: The report.

    Returns:
        Several lines, the last of which is the verdict.
    """
    cluster = [] if report.cluster is None else _cluster(report.cluster)
    parts = (_head(report), _nodes(report), _data(report), cluster, ["", report.verdict])
    return "\n".join(line for part in parts for line in part)


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


def _cluster(found: Findings) -> Iterator[str]:
    yield ""
    yield f"Dask cluster at {found.scheduler}"
    yield from map(_host, found.hosts)
    if not found.hosts:
        yield "  no worker yet: a run would wait for one"
    yield from _section("Other versions in workers", map(str, found.differences))
    fate = "would be sent it" if found.sends_package else "could not run anything"
    missing = [f"{worker}  {fate}" for worker in found.without_package]
    yield from _section(f"Workers without the package '{found.package}'", missing)
    title = f"Workers with other source of '{found.package}', which they would use"
    yield from _section(title, found.other_source)
    unseen = [f"{each.dataset}  on {', '.join(each.hosts)}" for each in found.unseen]
    yield from _section("Datasets whose local files are not the same there", unseen)


def _host(host: Host) -> str:
    workers = "1 worker" if host.workers == 1 else f"{host.workers} workers"
    threads = "1 thread" if host.threads == 1 else f"{host.threads} threads"
    return f"  {host.name}  {workers}, {threads}"


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
