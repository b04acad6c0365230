"""Medians and ratios of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cases import NOTHING, WARM
from benchmarks.records import FAILED, LIMIT, OK, SKIPPED, Measurement, Results
from benchmarks.subjects import PRUNNER, parse

# What the project asks for, of every start method that Kedro's runner has too.
WANTED_RATIO = 20


@dataclass(frozen=True)
class Spread:
    """Several measurements of the same thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Summarise the values; ``None`` if there are none."""
        known = list(values)
        return cls(median(known), min(known), max(known)) if known else None


@dataclass(frozen=True)
class Row:
    """One subject in one case.

    Attributes:
        subject: Name of the subject.
        wall: Seconds of the whole process.
        run: Seconds of ``run``.
        per_node: Seconds of ``run`` by the number of nodes.
        peak: The most bytes of memory of the tree of processes.
        extra: By how much its median is larger than that of the case ``nothing``.
        over_limit: The limit in seconds, if nothing is known but that it was exceeded.
        trouble: What went wrong, in words.
    """

    subject: str
    wall: Spread | None
    run: Spread | None
    per_node: float | None
    peak: Spread | None
    extra: float | None
    over_limit: float | None
    trouble: str


@dataclass(frozen=True)
class WarmRow:
    """The cost of a further trivial node under one subject.

    Attributes:
        subject: Name of the subject.
        sizes: The two numbers of nodes that were compared.
        cost: Seconds per node.
        rival: The subject that it is compared with, if there is one.
        ratio: By how much the rival's cost is higher.
    """

    subject: str
    sizes: tuple[int, int]
    cost: Spread
    rival: str | None
    ratio: float | None


def subjects_of(results: Results, case: str) -> list[str]:
    """List the subjects of a case, in the order in which they were measured."""
    return list(dict.fromkeys(m.subject for m in results.measurements if m.case == case))


def rows_of(results: Results, case: str) -> list[Row]:
    """Summarise each subject of a case."""
    return [_row(results, case, subject) for subject in subjects_of(results, case)]


def _row(results: Results, case: str, subject: str) -> Row:
    own = [m for m in results.measurements if (m.case, m.subject) == (case, subject)]
    good = [m for m in own if m.status == OK]
    single = [m.runs[0] for m in good if len(m.runs) == 1]
    run = Spread.of(seconds for _, seconds in single)
    peak = Spread.of(m.peak for m in good)
    nothing = [m.peak for m in results.measurements if (m.case, m.status) == (NOTHING, OK)]
    return Row(
        subject=subject,
        wall=Spread.of(m.wall for m in good),
        run=run,
        per_node=run.median / single[0][0] if run else None,
        peak=peak,
        extra=peak.median - median(nothing) if peak and nothing else None,
        over_limit=results.limit if not good and _ended(own) else None,
        trouble=_trouble(own, results.limit),
    )


def _trouble(own: Sequence[Measurement], limit: float) -> str:
    words = []
    failed = [m for m in own if m.status == FAILED]
    if failed:
        words.append(
            f"failed in {len(failed)} of {len(own)} runs: {failed[-1].message.rstrip('.')}"
        )
    if _ended(own):
        words.append(f"ended after {limit:g} s in round {_ended(own)}, not tried again")
    words += [f"skipped, {m.message}" for m in own if m.status == SKIPPED]
    left = sum(m.left_behind for m in own)
    if left:
        words.append(f"left {left} processes behind")
    return "; ".join(words)


def _ended(own: Sequence[Measurement]) -> int:
    """The round in which a process exceeded the limit, or 0."""
    return max((m.round for m in own if m.status == LIMIT), default=0)


def times_as_long(row: Row, other: Row | None) -> tuple[float | None, bool]:
    """Say how many times as long another subject takes, as whole processes.

    Args:
        row: The subject.
        other: The other one.

    Returns:
        The ratio, and whether it is only known to be larger, as the other one was ended.
    """
    if row.wall is None or other is None:
        return None, False
    if other.over_limit is not None:
        return other.over_limit / row.wall.median, True
    return (other.wall.median / row.wall.median if other.wall else None), False


def warm_rows(results: Results) -> list[WarmRow]:
    """Summarise the costs of a further trivial node."""
    good = [m for m in results.measurements if m.case == WARM and m.status == OK]
    costs: dict[str, list[tuple[tuple[int, int], float]]] = {}
    for measurement in good:
        costs.setdefault(measurement.subject, []).append(marginal_cost(measurement.runs))
    spreads = {subject: Spread.of(cost for _, cost in found) for subject, found in costs.items()}
    rows = []
    for subject, found in costs.items():
        spread = spreads[subject]
        assert spread is not None
        rival = parse(subject).rival if parse(subject).runner == PRUNNER else None
        other = spreads.get(rival) if rival else None
        # Noise can be larger than what start-up leaves of a small difference.
        ratio = other.median / spread.median if other and spread.median > 0 else None
        rows.append(WarmRow(subject, found[0][0], spread, rival if other else None, ratio))
    return rows


def marginal_cost(runs: Sequence[tuple[int, float]]) -> tuple[tuple[int, int], float]:
    """Take start-up out of the runs of one process.

    Args:
        runs: Number of nodes and seconds of each run, with two different numbers of nodes.

    Returns:
        The two numbers of nodes, and the seconds of each node by which they differ.
    """
    small, large = min(count for count, _ in runs), max(count for count, _ in runs)
    seconds = {size: median(s for count, s in runs if count == size) for size in (small, large)}
    return (small, large), (seconds[large] - seconds[small]) / (large - small)
