"""The rounds of the suite ``reliability``: one fresh process for each measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from benchmarks import machine
from benchmarks.asking import ask
from benchmarks.environment import measured_environment
from benchmarks.records import FAILED, LIMIT, Measurement, Results
from benchmarks.reliability.cases import Case
from benchmarks.reliability.child import Request
from benchmarks.rounds import Plan, measure_rounds
from benchmarks.subjects import Subject

OTHERS_TAKE, OTHERS_TAKE_QUICK = 2.0, 0.5  # seconds

_LIMIT = 120.0  # seconds for a whole process, which should never be reached
_INTERVAL = 0.2  # seconds between two looks at its memory, which take time of the CPU


def measure_all(plan: Plan[Case, Subject], after_each: Callable[[Results], None]) -> Results:
    """Measure all pairs of case and subject, round after round.

    Args:
        plan: What to measure; its limit is the time after which what is still there is given up.
        after_each: Called with what is known after each measurement.

    Returns:
        All that was found.
    """
    return measure_rounds(
        "reliability",
        plan,
        machine.describe(),
        lambda number, case, subject: True,
        lambda number, case, subject: _measure(number, case, subject, plan),
        after_each,
    )


def _measure(number: int, case: Case, subject: Subject, plan: Plan[Case, Subject]) -> Measurement:
    request = Request(
        probe=case.probe,
        runner=subject.runner,
        others=case.others,
        seconds=OTHERS_TAKE_QUICK if plan.quick else OTHERS_TAKE,
        action=case.action,
        native=case.native,
        patience=plan.limit,
    )
    environment = {**measured_environment(), **subject.environment}
    outcome, answer = ask(
        "benchmarks.reliability.child", asdict(request), environment, _LIMIT, _INTERVAL
    )
    figures = answer["figures"] if answer is not None else {}
    # What was given up once is not waited for again.
    given_up = any(value >= plan.limit for value in figures.values())
    message = f"still there after {plan.limit:g} s" if given_up else ""
    return Measurement(
        round=number,
        case=case.name,
        subject=subject.name,
        status=LIMIT if given_up else outcome.status,
        wall=outcome.wall,
        left_behind=outcome.left_behind,
        message=outcome.last_line if outcome.status == FAILED else message,
        figures=figures,
        words=answer["words"] if answer is not None else "",
    )
