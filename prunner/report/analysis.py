"""Where the time of a run went, and what it waited for. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from prunner.report.phases import PHASES, shares
from prunner.report.schedule import Job, Jobs, longest_path, makespan, smallest_enough
from prunner.sessions.records import NodeRecord, RunRecord

TOLERANCE = 0.02  # so much longer is no longer
_COSTLIEST = 10


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a worker, or the main process, was busy with a node.

    Attributes:
        worker: Its number; -1 for the main process.
        began: When.
        ended: When.
    """

    worker: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a node took.

    Attributes:
        node: The node.
        seconds: All its tries together.
        phases: Seconds of each phase of its last try.
    """

    node: NodeRecord
    seconds: float
    phases: dict[str, float]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the times of a run tell.

    Attributes:
        seconds: How long the run took; up to the last sign of it if its end is not known.
        jobs: The nodes that ran, as far as scheduling goes.
        work: Seconds of all nodes together, with their failed tries.
        workers: How many workers took part at the same time.
        busy: From when on how many workers were busy, in seconds since the epoch.
        use: Which share of the time of these workers nodes took, ``None`` where there was none.
        critical_path: The chain of nodes that takes longest: steps, the first one first.
        critical_seconds: How long it takes: the run takes so long with any number of workers.
        waiting: How long nodes of that path were ready, and waited for a worker or for memory.
        enough: The smallest number of workers with which nodes would have taken hardly longer.
        ideal: How long the nodes take with these workers if nothing else takes any time.
        phases: Seconds of each phase, of all nodes.
        costliest: The nodes that took longest, the first one most of all; ten at most.
    """

    seconds: float
    jobs: Jobs
    work: float
    workers: int
    busy: tuple[tuple[float, int], ...]
    use: float | None
    critical_path: tuple[int, ...]
    critical_seconds: float
    waiting: float
    enough: int
    ideal: float
    phases: dict[str, float]
    costliest: tuple[Cost, ...]


def analyse(run: RunRecord) -> Analysis:
    """Find out where the time of a run went.

    Args:
        run: The run, with its nodes.

    Returns:
        What is to be said of it; zeros and empty where no node has run.
    """
    run = replace(run, nodes=tuple(sorted(run.nodes, key=lambda node: node.step)))
    jobs = jobs_of(run)
    spans = [span for span in spans_of(run) if span.worker >= 0]
    seconds = max(last_sign(run) - run.started, 0.0)
    workers = _workers(run, spans)
    path = longest_path(jobs)
    used = sum(span.ended - span.began for span in spans)
    return Analysis(
        seconds=seconds,
        jobs=jobs,
        work=sum(job.seconds for job in jobs.values()),
        workers=workers,
        busy=tuple(levels(spans)),
        use=min(used / (workers * seconds), 1.0) if workers and seconds > 0 else None,
        critical_path=tuple(path),
        critical_seconds=sum(jobs[step].seconds for step in path),
        waiting=sum(waited(node) for node in run.nodes if node.step in set(path)),
        enough=smallest_enough(jobs, workers, TOLERANCE) if workers else 0,
        ideal=makespan(jobs, max(workers, 1)),
        phases=_sum_phases(run.nodes),
        costliest=tuple(_costliest(run)),
    )


def jobs_of(run: RunRecord) -> Jobs:
    """The nodes of a run that took time, as far as scheduling goes."""
    return {
        node.step: Job(
            seconds=cost(node),
            # Parents come first in a pipeline: what else is on record would be a cycle.
            parents=tuple(sorted({each for each in node.parents if each < node.step})),
            pinned=node.worker == -1,
        )
        for node in run.nodes
        if node.tries or node.seconds is not None
    }


def cost(node: NodeRecord) -> float:
    """How long all tries of a node took together."""
    tries = sum(max(each.ended - each.started, 0.0) for each in node.tries)
    return tries + max(node.seconds or 0.0, 0.0)


def waited(node: NodeRecord) -> float:
    """How long a node was ready and had not begun, its failed tries left out."""
    if node.queued is None or node.started is None:
        return 0.0
    tries = sum(max(each.ended - each.started, 0.0) for each in node.tries)
    return max(node.started - node.queued - tries, 0.0)


def last_sign(run: RunRecord) -> float:
    """When a run ended; the last time on record if that is not known."""
    if run.ended is not None:
        return run.ended
    times = [run.started, *(span.ended for span in spans_of(run))]
    times += [node.started for node in run.nodes if node.started is not None]
    times += [sample.at for sample in run.memory]
    return max(times)


def spans_of(run: RunRecord) -> Iterator[Span]:
    """When each worker and the main process were busy with nodes, with failed tries."""
    for node in run.nodes:
        for each in node.tries:
            yield Span(each.worker, each.started, max(each.ended, each.started))
        if node.worker is not None and node.started is not None and node.ended is not None:
            yield Span(node.worker, node.started, max(node.ended, node.started))


def levels(spans: Iterable[Span]) -> Iterator[tuple[float, int]]:
    """From when on how many of the spans are going on, in order of time."""
    changes: dict[float, int] = defaultdict(int)
    for span in spans:
        changes[span.began] += 1
        changes[span.ended] -= 1
    level = 0
    for at in sorted(changes):
        level += changes[at]
        yield at, level


def most_at_once(spans: Iterable[Span]) -> int:
    """How many of the spans go on at the same time at most; those without length count alone."""
    spans = list(spans)
    return max((level for _, level in levels(spans)), default=0) or min(len(spans), 1)


def _workers(run: RunRecord, spans: Sequence[Span]) -> int:
    """How many workers there were at the same time; one that took the place of another is none.

    Which ones died is not on record. It can only be those whose last node had failed there.
    """
    if not spans:
        return 0
    numbers = {*run.pids, *(span.worker for span in spans)}
    last = {span.worker: span for span in sorted(spans, key=lambda one: one.ended)}
    failed = {(one.worker, one.started) for node in run.nodes for one in node.tries}
    gone = [span for span in last.values() if (span.worker, span.began) in failed]
    return max(most_at_once(_lives(spans)), len(numbers) - len(gone))


def _lives(spans: Iterable[Span]) -> list[Span]:
    """From the first to the last node of each worker.

    So one that died is not counted beside the worker that has taken its place.
    """
    lives: dict[int, Span] = {}
    for each in spans:
        life = lives.get(each.worker, each)
        began, ended = min(life.began, each.began), max(life.ended, each.ended)
        lives[each.worker] = Span(each.worker, began, ended)
    return list(lives.values())


def _sum_phases(nodes: Sequence[NodeRecord]) -> dict[str, float]:
    each = [shares(node) for node in nodes]
    return {phase: sum(one[phase] for one in each) for phase in PHASES}


def _costliest(run: RunRecord) -> Iterator[Cost]:
    ran = [node for node in run.nodes if node.tries or node.seconds is not None]
    for node in sorted(ran, key=lambda one: (-cost(one), one.step))[:_COSTLIEST]:
        yield Cost(node, cost(node), shares(node))
