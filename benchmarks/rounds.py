"""Rounds of measurements: every pair of a case and a subject, one fresh process each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import product
from typing import Generic, Protocol, TypeVar

from benchmarks.records import LIMIT, SKIPPED, Measurement, Results, show


class _Case(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...


class _Subject(Protocol):
    @property
    def name(self) -> str: ...


CaseT = TypeVar("CaseT", bound=_Case)
SubjectT = TypeVar("SubjectT", bound=_Subject)


@dataclass(frozen=True)
class Plan(Generic[CaseT, SubjectT]):
    """What to measure, and how.

    Attributes:
        cases: The cases.
        subjects: The subjects.
        rounds: How often each pair of them is measured.
        limit: Seconds that one process may take.
        quick: Whether the cases are the small ones.
    """

    cases: Sequence[CaseT]
    subjects: Sequence[SubjectT]
    rounds: int
    limit: float
    quick: bool


def measure_rounds(  # noqa: PLR0913 - what differs between suites
    suite: str,
    plan: Plan[CaseT, SubjectT],
    machine: Mapping[str, str],
    is_due: Callable[[int, CaseT, SubjectT], bool],
    measure: Callable[[int, CaseT, SubjectT], Measurement],
    after_each: Callable[[Results], None],
) -> Results:
    """Measure all pairs of case and subject, round after round.

    A pair that has once exceeded the limit, or is not installed, is not tried again.

    Args:
        suite: Name of the suite.
        plan: What to measure.
        machine: What it runs on.
        is_due: Whether a pair is to be measured in the round with this number, counted from 1.
        measure: Measures one pair, in the round with this number.
        after_each: Called with what is known after each measurement.

    Returns:
        All that was found.
    """
    results = Results(
        suite=suite,
        quick=plan.quick,
        rounds=plan.rounds,
        limit=plan.limit,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=machine,
        cases={case.name: case.title for case in plan.cases},
    )
    hopeless: set[tuple[str, str]] = set()
    for number in range(1, plan.rounds + 1):
        for case, subject in product(plan.cases, plan.subjects):
            pair = case.name, subject.name
            if pair in hopeless or not is_due(number, case, subject):
                continue
            found = measure(number, case, subject)
            results.measurements.append(found)
            if found.status in (LIMIT, SKIPPED):
                hopeless.add(pair)
            show(found, plan.rounds)
            after_each(results)
    return results
