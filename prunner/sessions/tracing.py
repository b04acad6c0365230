"""The records of the nodes of a run, from what the run has noted. Pure but for sizes of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
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
        processes: The workers by their number: their machine, ``None`` for that of the
            run, and process.
        catalog: The real catalog.
    """

    plan: RunPlan
    nodes: Sequence[Node]
    keys: Sequence[NodeKey]
    journal: Journal
    outcomes: Outcomes
    done: frozenset[int]
    needs: Mapping[int, int]
    processes: Mapping[int, tuple[str | None, int]]
    catalog: Any

    def seen_from(self, host: str) -> Traced:
        """The same, where this machine is that of the run: on a cluster each one has its name."""
        places = self.processes.items()
        own = {worker: (None if on == host else on, pid) for worker, (on, pid) in places}
        return self._replace(processes=own)


def node_records(run: Traced, began: float, text: Callable[[str], str]) -> tuple[NodeRecord, ...]:
    """Make the records of all nodes.

    Args:
        run: What has happened.
        began: When the run began.
        text: Makes a text fit to be written: without secrets.
    """
    maker = _Maker(run, began, text)
    return tuple(maker.record(step) for step in run.plan.steps)


def memory_samples(journal: Journal) -> tuple[MemorySample, ...]:
    """What was seen of memory."""
    return tuple(MemorySample(*sample) for sample in journal.samples)


class _Maker:
    """Makes the records of the nodes of one run."""

    def __init__(self, run: Traced, began: float, text: Callable[[str], str]) -> None:
        self._run, self._began, self._text = run, began, text
        self._sizes = _Sizes(run)
        functions = {id(node.func): node.func for node in run.nodes}
        self._functions = {number: name_of(each) for number, each in functions.items()}
        self._ends = {step: tries[-1].ended for step, tries in run.journal.attempts.items()}

    def record(self, step: Step) -> NodeRecord:
        run, index = self._run, step.index
        tries = run.journal.attempts.get(index, [])
        last = tries[-1] if tries else None
        error = run.outcomes.failed.get(index)
        known: dict[str, Any] = {} if last is None else self._of_try(last)
        if all(parent in self._ends for parent in step.parents):
            ends = (self._ends[parent] for parent in step.parents)
            known["queued"] = max(ends, default=self._began)
        return NodeRecord(
            step=index,
            name=step.name,
            function=self._functions[id(run.nodes[index].func)],
            source=run.keys[index][1],
            parents=tuple(sorted(step.parents)),
            outcome=_outcome(run, index, last),
            peak_memory=run.needs.get(index),
            tries=self._earlier(run.outcomes.history(index), tries),
            error=None if error is None else self._text(described(error)),
            pinned=run.plan.pinned.get(index),
            **known,
        )

    def _of_try(self, last: Attempt) -> dict[str, Any]:
        host, pid = self._run.processes.get(last.worker, (None, None))
        if last.worker == PARENT:
            pid = os.getpid()
        known = {
            "worker": last.worker,
            "host": host,
            "pid": pid,
            "started": last.started,
            "ended": last.ended,
        }
        if last.times is None:
            return known
        began, seconds, loads, saves = last.times
        sizes = self._sizes
        return known | {
            "run_seconds": seconds,
            "loads": tuple(Transfer(name, began + at, s, sizes[name]) for name, at, s in loads),
            "saves": tuple(Transfer(name, began + at, s, sizes[name]) for name, at, s in saves),
        }

    def _earlier(self, told: Sequence[str], tries: Sequence[Attempt]) -> tuple[Try, ...]:
        failed = [each for each in tries if each.failed]  # the last one may be for good
        return tuple(
            Try(each.worker, each.started, each.ended, self._text(error))
            for each, error in zip(failed, told, strict=False)
        )


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
