"""The suite ``start-methods``: the start methods of prunner and of Kedro, side by side."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine, nodes
from benchmarks.asking import ask
from benchmarks.cases import WARM_START, Case
from benchmarks.child import Request
from benchmarks.environment import measured_environment
from benchmarks.process import Outcome, run_process
from benchmarks.records import FAILED, Measurement, Results
from benchmarks.rounds import Plan, measure_rounds
from benchmarks.subjects import KEDRO, PRUNNER, Subject

_CPU_SECONDS = 0.05


def measure_all(plan: Plan[Case, Subject], after_each: Callable[[Results], None]) -> Results:
    """Measure all pairs of case and subject, round after round.

    Args:
        plan: What to measure.
        after_each: Called with what is known after each measurement.

    Returns:
        All that was found.
    """
    loops = nodes.calibrate(_CPU_SECONDS)
    return measure_rounds(
        "start-methods",
        plan,
        machine.describe(),
        lambda number, case, subject: case.includes(subject.name, number),
        lambda number, case, subject: _measure(number, case, subject, loops, plan.limit),
        after_each,
    )


def _measure(number: int, case: Case, subject: Subject, loops: int, limit: float) -> Measurement:
    environment = {**measured_environment(quiet=case.kind != "demo"), **subject.environment}
    # The peak of the array's case is short.
    interval = 0.02 if case.kind == "array" else 0.05
    answer = None
    if case.kind == "demo":
        outcome = _run_demo(case, subject, environment, limit, interval)
    else:
        request = asdict(_request(case, subject, loops))
        outcome, answer = ask("benchmarks.child", request, environment, limit, interval)
    return Measurement(
        round=number,
        case=case.name,
        subject=subject.name,
        status=outcome.status,
        wall=outcome.wall,
        peak=outcome.peak,
        left_behind=outcome.left_behind,
        runs=tuple((count, seconds) for count, seconds in answer["runs"]) if answer else (),
        message=outcome.last_line if outcome.status == FAILED else "",
    )


def _request(case: Case, subject: Subject, loops: int) -> Request:
    size = case.size
    sizes: tuple[int, ...] = (size,)
    unrecorded = 0
    if case.kind == "warm":
        # Only prunner is fast enough to be repeated, and so small that one run would be noise.
        repeats = case.repeats if subject.runner == PRUNNER else 1
        if subject.runner == KEDRO and case.kedro_size is not None:
            size = case.kedro_size
        # The first run pays for imports, and is not written down.
        sizes = (WARM_START, *(WARM_START, size) * repeats)
        unrecorded = 1
    return Request(case.kind, sizes, unrecorded, loops, subject.runner, subject.method)


def _run_demo(
    case: Case, subject: Subject, environment: Mapping[str, str], limit: float, interval: float
) -> Outcome:
    from prunner.demo.folder import make_project

    command = [sys.executable, "-m", "kedro", "run", f"--runner={subject.kedro_name}"]
    if case.quick_demo:
        command.append("--env=quick")
    # Windows may keep a file of a process that was ended for a moment longer.
    with tempfile.TemporaryDirectory(
        prefix="prunner-benchmark-", ignore_cleanup_errors=True
    ) as name:
        project = make_project(Path(name, "project"))
        return run_process(command, environment, project, limit, interval)
