"""What a run would do: which nodes would run where and why, and what would be copied.

Pure: made from the plan of a run, and from the sizes of the inputs that were packed for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunner.planning.plan import RunPlan

if TYPE_CHECKING:
    from prunner.cluster.findings import Findings


@dataclass(frozen=True, slots=True)
class Scope:
    """What was checked, and with which options.

    Attributes:
        project: Name of the project's package.
        pipelines: Names of the registered pipelines.
        start_method: How processes would be started.
        max_workers: How many workers there may be at most.
    """

    project: str
    pipelines: tuple[str, ...]
    start_method: str
    max_workers: int


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where a node would run.

    Attributes:
        name: Name of the node.
        stays_because: Why it stays in the main process, ``None`` if it may run in a worker.
    """

    name: str
    stays_because: str | None


@dataclass(frozen=True, slots=True)
class Parcel:
    """An in-memory dataset that would go from one process to another.

    Attributes:
        dataset: Name of the dataset.
        made_by: Node that makes it, ``None`` for an input of the pipeline.
        size: Number of bytes, ``None`` where it is known in a run only, or where an input holds
            no data.
        to_workers: Whether some worker may load it.
        to_main: Whether the main process gets it: for a node that stays there, or as an output.
    """

    dataset: str
    made_by: str | None
    size: int | None
    to_workers: bool
    to_main: bool


@dataclass(frozen=True, slots=True)
class StuckDataset:
    """A dataset that cannot leave the main process.

    Attributes:
        name: Name of the dataset.
        reason: Why.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a run would do.

    Attributes:
        scope: What was checked.
        workers: How many workers would be started at most.
        nodes: The nodes in topological order.
        parcels: What goes between processes, inputs of the pipeline first.
        stuck: The datasets that cannot leave the main process.
        cluster: What was found of a Dask cluster, ``None`` if nobody has named one.
    """

    scope: Scope
    workers: int
    nodes: tuple[NodePlace, ...]
    parcels: tuple[Parcel, ...]
    stuck: tuple[StuckDataset, ...]
    cluster: Findings | None = None

    @property
    def verdict(self) -> str:
        """The whole report in one line."""
        count = len(self.nodes)
        free = sum(node.stays_because is None for node in self.nodes)
        if not count:
            return "There is no node to run."
        if not free:
            return f"Nothing would run in a worker: {_count(count, 'node')} in the main process."
        who = "all nodes" if free == count else f"{free} of {_count(count, 'node')}"
        where = "one worker" if self.workers == 1 else f"up to {self.workers} workers"
        rest = "" if free == count else f", {count - free} in the main process"
        return f"{who} would run in {where}{rest}.".capitalize() + self._advice()

    def _advice(self) -> str:
        if self.workers > 1 or self.scope.max_workers == 1 or len(self.nodes) == 1:
            return ""
        return " No two of those can run at once, so nothing would be faster."


def make_report(
    scope: Scope, plan: RunPlan, stuck: Mapping[str, str], sizes: Mapping[str, int]
) -> Report:
    """Tell from a plan what a run would do.

    Args:
        scope: What was checked.
        plan: The plan of the run.
        stuck: The datasets that cannot leave the main process, each with the reason.
        sizes: Number of bytes of each in-memory input that would be shared with workers.

    Returns:
        The report.
    """
    return Report(
        scope=scope,
        workers=plan.workers_needed(scope.max_workers),
        nodes=tuple(NodePlace(step.name, plan.pinned.get(step.index)) for step in plan.steps),
        parcels=(*_inputs(plan, sizes), *_made(plan)),
        stuck=tuple(StuckDataset(name, reason) for name, reason in sorted(stuck.items())),
    )


def _inputs(plan: RunPlan, sizes: Mapping[str, int]) -> Iterator[Parcel]:
    for name in sorted(plan.in_memory & plan.kept_inputs):
        if _goes_to_workers(plan, name):
            yield Parcel(name, None, sizes.get(name), to_workers=True, to_main=False)


def _made(plan: RunPlan) -> Iterator[Parcel]:
    for step in plan.steps:
        for name in step.outputs:
            parcel = Parcel(
                name,
                step.name,
                None,
                to_workers=_goes_to_workers(plan, name),
                to_main=step.index not in plan.pinned and _goes_to_main(plan, name),
            )
            if name in plan.in_memory and (parcel.to_workers or parcel.to_main):
                yield parcel


def _goes_to_workers(plan: RunPlan, name: str) -> bool:
    return any(name in step.inputs and step.index not in plan.pinned for step in plan.steps)


def _goes_to_main(plan: RunPlan, name: str) -> bool:
    pinned = any(name in plan.steps[index].inputs for index in plan.pinned)
    return pinned or name in plan.kept_outputs


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
