"""The measurements of the suite ``load``: one fresh process for each case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from benchmarks import machine
from benchmarks.asking import ask
from benchmarks.environment import measured_environment
from benchmarks.load.cases import Case
from benchmarks.load.child import Request
from benchmarks.records import FAILED, Measurement, Results
from benchmarks.rounds import Plan, measure_rounds
from benchmarks.subjects import Subject

_INTERVAL = 0.5  # seconds between two looks at the memory, which take time of the CPU


def measure_all(plan: Plan[Case, Subject], after_each: Callable[[Results], None]) -> Results:
    """Measure all cases.

    Args:
        plan: What to measure.
        after_each: Called with what is known after each measurement.

    Returns:
        All that was found.
    """
    return measure_rounds(
        "load",
        plan,
        machine.describe(),
        lambda number, case, subject: True,
        lambda number, case, subject: _measure(number, case, subject, plan.limit),
        after_each,
    )


def _measure(number: int, case: Case, subject: Subject, limit: float) -> Measurement:
    request = Request(case.probe, case.size)
    environment = {**measured_environment(), **subject.environment}
    outcome, answer = ask("benchmarks.load.child", asdict(request), environment, limit, _INTERVAL)
    return Measurement(
        round=number,
        case=case.name,
        subject=subject.name,
        status=outcome.status,
        wall=outcome.wall,
        peak=outcome.peak,
        left_behind=outcome.left_behind,
        message=outcome.last_line if outcome.status == FAILED else "",
        figures=answer or {},
    )
