"""One sentence of advice on a run, as far as its figures support any. Pure.

Each candidate has a figure of its own: the seconds that the run would have taken less, found by
scheduling the measured durations once more with the change. The one that saves most is given. All
of these are bounds, since a simulation knows nothing of what a change costs, so they say "up to".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from prunner.report.analysis import TOLERANCE, Analysis, waited
from prunner.report.figures import count, duration, percent, shorten, size
from prunner.report.schedule import Jobs, makespan, smallest_enough, without_pins
from prunner.sessions.records import NodeRecord, Outcome, RunRecord, Transfer

WORTHWHILE = 0.1  # of the run: what saves less is not worth a sentence
AT_LEAST = 0.5  # seconds: nor is this
DOMINANT = 0.5  # of the run: one node, and nothing beside it
NOTHING = "Nothing stands out in the figures of this run."


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that would make a run shorter, or let it do with less.

    Attributes:
        saving: How many seconds less the run would have taken at most.
        text: One sentence.
    """

    saving: float
    text: str


def advice(run: RunRecord, analysis: Analysis) -> str:
    """The advice that would save most; a sentence that says so if there is none.

    Args:
        run: The run.
        analysis: What the times of the run tell.

    Returns:
        One sentence, in which names are as they are: nothing is escaped.
    """
    if not run.nodes:
        return "There is no advice: nothing is on record of the nodes of this run."
    if run.outcome is not Outcome.COMPLETED:
        return "There is no advice: the run did not complete, so its times say little."
    if analysis.seconds <= 0:  # the clock was set back meanwhile
        return "There is no advice: the run ended before it began, so its times say nothing."
    return max(
        candidates(run, analysis), key=lambda one: one.saving, default=Advice(0, NOTHING)
    ).text


def candidates(run: RunRecord, analysis: Analysis) -> list[Advice]:
    """All advice that the figures support, in no order."""
    least = max(AT_LEAST, WORTHWHILE * analysis.seconds)
    faster = [
        each
        for find in (_one_node, _transfers, _more_workers, _pinned, _tries, _memory, _in_sequence)
        for each in find(run, analysis)
        if each.saving >= least
    ]
    return [*faster, *_fewer_workers(run, analysis)]


def _gain(analysis: Analysis, jobs: Jobs, workers: int | None = None) -> float:
    return analysis.ideal - makespan(jobs, max(workers or analysis.workers, 1))


def _one_node(run: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """A node beside which nothing ran, for most of the time."""
    for each in analysis.costliest[:1]:
        alone = _alone(run, each.node)
        # Shared by two it would be half as long; more than that nobody can promise.
        can_share = run.cpus > 1 or bool(run.hosts)
        if can_share and alone >= DOMINANT * analysis.seconds and len(analysis.jobs) > 1:
            yield Advice(
                alone / 2,
                f"One node, '{shorten(each.node.name)}'{_place(each.node)}, took "
                f"{percent(alone / analysis.seconds)} of the run ({duration(alone)}) and nothing "
                "ran beside it: cut into two that run at the same time, it would save up to "
                f"{duration(alone / 2)}.",
            )


def _place(node: NodeRecord) -> str:
    return f" on host {shorten(node.host)}" if node.host else ""


def _alone(run: RunRecord, node: NodeRecord) -> float:
    """How long a node's last try was the only thing that went on."""
    if node.started is None or node.ended is None:
        return 0.0
    others = [(one.started, one.ended) for one in run.nodes if one.step != node.step]
    others += [(one.started, one.ended) for other in run.nodes for one in other.tries]
    left, now = 0.0, node.started
    for began, ended in sorted((a, b) for a, b in others if a is not None and b is not None):
        if ended > now and began < node.ended:
            left += max(began - now, 0.0)
            now = ended
    return left + max(node.ended - now, 0.0)


def _transfers(run: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """A dataset whose loading or saving took long."""
    for verb in ("loading", "saving"):
        found: dict[str, dict[int, list[Transfer]]] = defaultdict(lambda: defaultdict(list))
        for node in run.nodes:
            for each in node.loads if verb == "loading" else node.saves:
                if node.step in analysis.jobs:
                    found[each.dataset][node.step].append(each)
        costs = {name: _seconds(steps) for name, steps in found.items()}
        # Those that took less in all nodes together cannot save more than that.
        for name in sorted(costs, key=lambda one: (-costs[one], one))[:3]:
            yield _transfer(analysis, verb, name, found[name])


def _transfer(analysis: Analysis, verb: str, name: str, steps: dict[int, list[Transfer]]) -> Advice:
    jobs = dict(analysis.jobs)
    for step, transfers in steps.items():
        left = jobs[step].seconds - sum(each.seconds for each in transfers)
        jobs[step] = replace(jobs[step], seconds=max(left, 0.0))
    seconds, gain = _seconds(steps), _gain(analysis, jobs)
    sizes = [each.size for transfers in steps.values() for each in transfers]
    known = sum(each for each in sizes if each is not None)
    data = f", {size(known)} at {size(known / seconds)}/s" if None not in sizes and seconds else ""
    share = percent(seconds / analysis.work) if analysis.work else "0 %"
    return Advice(
        gain,
        f"{share} of the time of all nodes went into {verb} '{shorten(name)}' "
        f"({duration(seconds)}{data}): a faster format, such as Parquet for tables, a faster place "
        f"or less data would save up to {duration(gain)} of {duration(analysis.seconds)}.",
    )


def _seconds(steps: dict[int, list[Transfer]]) -> float:
    return sum(each.seconds for transfers in steps.values() for each in transfers)


def _more_workers(run: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """There were CPUs left, and nodes that waited for a worker."""
    # How many CPUs other hosts have is not on record.
    if not analysis.workers or run.cpus <= analysis.workers or run.hosts:
        return
    gain = _gain(analysis, analysis.jobs, run.cpus)
    waiting = sum(waited(node) for node in run.nodes)
    if waiting >= gain:  # or else they had no need of one
        enough = smallest_enough(analysis.jobs, run.cpus, TOLERANCE)
        yield Advice(
            gain,
            f"{count(enough, 'worker')} instead of {analysis.workers} would save up to "
            f"{duration(gain)} of {duration(analysis.seconds)}: nodes waited for one while the "
            f"run might use {count(run.cpus, 'CPU')}.",
        )


def _pinned(run: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """Nodes that had to run one after the other in the main process."""
    pinned = [node for node in run.nodes if node.pinned and node.step in analysis.jobs]
    if not pinned or not analysis.workers:
        return
    gain = _gain(analysis, without_pins(analysis.jobs))
    first = max(pinned, key=lambda one: (analysis.jobs[one.step].seconds, -one.step))
    rest = f" and {count(len(pinned) - 1, 'other node')}" if len(pinned) > 1 else ""
    yield Advice(
        gain,
        f"Node '{shorten(first.name)}'{rest} had to run in the main process "
        f"({shorten(first.pinned or '', 200)}): in workers, the run would take up to "
        f"{duration(gain)} less.",
    )


def _tries(run: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """Tries that failed, and were made once more."""
    failed = {
        node.step: sum(max(each.ended - each.started, 0.0) for each in node.tries)
        for node in run.nodes
        if node.tries
    }
    if not failed:
        return
    jobs = {
        step: replace(job, seconds=max(job.seconds - failed.get(step, 0.0), 0.0))
        for step, job in analysis.jobs.items()
    }
    gain = _gain(analysis, jobs)
    worst = max(run.nodes, key=lambda one: (failed.get(one.step, 0.0), -one.step))
    number = sum(len(node.tries) for node in run.nodes)
    what = "1 try that failed" if number == 1 else f"{number:,} tries that failed"
    yield Advice(
        gain,
        f"{what} took {duration(sum(failed.values()))}, most of it for "
        f"'{shorten(worst.name)}' ({shorten(worst.tries[-1].error, 120)}): without these, the run "
        f"would take up to {duration(gain)} less.",
    )


def _memory(run: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """A node that waited while less was free than it needed, and a worker had nothing to do."""
    for node in sorted(run.nodes, key=lambda one: (-waited(one), one.step))[:1]:
        if node.peak_memory is None or node.queued is None or node.started is None or node.tries:
            continue
        seen = [one.free for one in run.memory if node.queued <= one.at <= node.started]
        if not seen or max(seen) >= node.peak_memory or not _idle(analysis, node):
            continue
        yield Advice(
            min(waited(node), analysis.seconds - analysis.ideal),
            f"Node '{shorten(node.name)}' was ready for {duration(waited(node))} while a worker "
            f"had nothing to do: it needs {size(node.peak_memory)}, and at most "
            f"{size(max(seen))} were free.",
        )


def _idle(analysis: Analysis, node: NodeRecord) -> bool:
    """Whether a worker was idle as long as the node waited."""
    assert node.queued is not None and node.started is not None
    level, now = 0, float("-inf")
    for at, busy in (*analysis.busy, (float("inf"), 0)):
        if level >= analysis.workers and now < node.started and at > node.queued:
            return False
        level, now = busy, at
    return True


def _in_sequence(_: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """All nodes together took less than the run: what is around them costs more than it saves."""
    if analysis.workers and len(analysis.jobs) > 1:
        gain = analysis.seconds - analysis.work
        yield Advice(
            gain,
            f"The nodes are so short ({duration(analysis.work / len(analysis.jobs))} on average) "
            f"that workers do not pay: all of them took {duration(analysis.work)} together, the "
            f"run {duration(analysis.seconds)}; kedro.runner.SequentialRunner or fewer, larger "
            f"nodes would save up to {duration(gain)}.",
        )


def _fewer_workers(_: RunRecord, analysis: Analysis) -> Iterator[Advice]:
    """Saves no time, so it is said only where nothing else is."""
    if 0 < analysis.enough < analysis.workers and analysis.seconds >= AT_LEAST:
        busy = f"the {analysis.workers} were busy {percent(analysis.use or 0.0)} of the time"
        be = "1 worker" if analysis.enough == 1 else f"{analysis.enough} workers"
        yield Advice(0.0, f"{be} would have been enough: {busy}.")
