"""The records of the nodes of a run, from what the run has noted. Pure but for sizes of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from prunner.errors import described
from prunner.fingerprint import name_of
from prunner.history import NodeKey
from prunner.journal import Attempt, Journal
from prunner.kedro_internals import size_of_file
from prunner.planning.decisions import PARENT
from prunner.sessions.records import MemorySample, NodeRecord, Outcome, Transfer, Try

if TYPE_CHECKING:
    from kedro.pipeline.node import Node

    from prunner.outcomes import Outcomes
    from prunner.planning.plan import RunPlan, Step


class Traced(NamedTuple):
    """What has happened in a run.

    Attributes:
        plan: Its plan.
        nodes: Its nodes by their step.
        keys: What they are known by (``history.keys_of``).
        journal: What happened when.
        outcomes: What went wrong.
        done: The steps that are done.
        needs: How much memory steps needed, in bytes.
        pids: The processes of workers, by their number.
        catalog: The real catalog.
    """

    plan: RunPlan
    nodes: Sequence[Node]
    keys: Sequence[NodeKey]
    journal: Journal
    outcomes: Outcomes
    done: frozenset[int]
    needs: Mapping[int, int]
    pids: Mapping[int, int]
    catalog: Any


def node_records(run: Traced, began: float, text: Callable[[str], str]) -> tuple[NodeRecord, ...]:
    """Make the records of all nodes.

    Args:
        run: What has happened.
        began: When the run began.
        text: Makes a text fit to be written: without secrets.
    """
    sizes = _Sizes(run)
    ends = {step: tries[-1].ended for step, tries in run.journal.attempts.items()}
    return tuple(_record(run, step, sizes, ends, began, text) for step in run.plan.steps)


def memory_samples(journal: Journal) -> tuple[MemorySample, ...]:
    """What was seen of memory."""
    return tuple(MemorySample(*sample) for sample in journal.samples)


class _Sizes(dict[str, "int | None"]):
    """Sizes of datasets, each asked for once."""

    def __init__(self, run: Traced) -> None:
        super().__init__(run.journal.sizes)
        self._run = run

    def __missing__(self, dataset: str) -> int | None:
        found = None
        if dataset not in self._run.plan.in_memory:
            found = size_of_file(self._run.catalog, dataset)
        self[dataset] = found
        return found


def _record(
    run: Traced,
    step: Step,
    sizes: _Sizes,
    ends: Mapping[int, float],
    began: float,
    text: Callable[[str], str],
) -> NodeRecord:
    index = step.index
    tries = run.journal.attempts.get(index, [])
    last = tries[-1] if tries else None
    outcome = _outcome(run, index, last)
    error = run.outcomes.failed.get(index)
    known: dict[str, Any] = {} if last is None else _of_try(run, last, sizes)
    if all(parent in ends for parent in step.parents):
        known["queued"] = max((ends[parent] for parent in step.parents), default=began)
    return NodeRecord(
        step=index,
        name=step.name,
        function=name_of(run.nodes[index].func),
        source=run.keys[index][1],
        parents=tuple(sorted(step.parents)),
        outcome=outcome,
        peak_memory=run.needs.get(index),
        tries=tuple(_earlier(run.outcomes.history(index), tries, text)),
        error=None if error is None else text(described(error)),
        pinned=run.plan.pinned.get(index),
        **known,
    )


def _outcome(run: Traced, step: int, last: Attempt | None) -> Outcome:
    if step in run.done:
        return Outcome.COMPLETED
    if step in run.outcomes.failed:
        return Outcome.FAILED
    if step in run.outcomes.skipped:
        return Outcome.SKIPPED
    if last is not None and not last.failed:  # its end was still on its way
        return Outcome.COMPLETED
    return Outcome.NOT_RUN


def _of_try(run: Traced, last: Attempt, sizes: _Sizes) -> dict[str, Any]:
    known: dict[str, Any] = {
        "worker": last.worker,
        "pid": os.getpid() if last.worker == PARENT else run.pids.get(last.worker),
        "started": last.started,
        "ended": last.ended,
    }
    if last.times is not None:
        began, seconds, loads, saves = last.times
        known["run_seconds"] = seconds
        known["loads"] = tuple(Transfer(n, began + at, s, sizes[n]) for n, at, s in loads)
        known["saves"] = tuple(Transfer(n, began + at, s, sizes[n]) for n, at, s in saves)
    return known


def _earlier(
    told: Sequence[str], tries: Sequence[Attempt], text: Callable[[str], str]
) -> Iterator[Try]:
    failed = [each for each in tries if each.failed]
    for each, error in zip(failed, told, strict=False):  # the last one may be for good
        yield Try(each.worker, each.started, each.ended, text(error))
