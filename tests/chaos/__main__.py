"""Runs random graphs with random faults, and checks how each run ends and what it leaves behind.

    python -m tests.chaos --runs 5000 --seed 1 --start-method loky --start-method fork
    python -m tests.chaos --seed 1 --first 1234 --runs 1 --start-method loky

A run ends with the results of ``SequentialRunner``, or with exactly the errors that its faults
lead to. Workers that wait for a next run are ended after each batch; then no process, thread,
file or descriptor may be left. What is wrong is printed with the command that repeats that run.
A run alone may differ from the same one in a batch: there it has found workers of former runs,
and known how long nodes take.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from prunner.options import available_start_methods
from tests.chaos.draw import draw_case
from tests.chaos.limit import time_limit
from tests.chaos.report import Report
from tests.chaos.run import run_case
from tests.chaos.traces import Traces, rest

_FORKED = "fork"  # workers that never wait for a next run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says.

    Args:
        arguments: Of the command line.

    Returns:
        The exit code: 0 if all is right.
    """
    options = _parse(arguments)
    print(f"seed {options.seed}", flush=True)
    logging.root.handlers[:] = [_Formatting()]
    chaos = Chaos(options)
    begin, end = options.first, options.first + options.runs
    for first in range(begin, end, options.batch):
        chaos.run_batch(range(first, min(first + options.batch, end)))
    print(chaos.report)
    print("All is right." if not chaos.report.wrong else f"{chaos.report.wrong} times wrong.")
    return min(chaos.report.wrong, 1)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    there = available_start_methods()
    parser.add_argument("--runs", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--start-method", action="append", choices=there, help="one of several")
    parser.add_argument("--workers", type=int, default=4, help="at most")
    parser.add_argument("--batch", type=int, default=25, help="runs with the same workers")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one run")
    options = parser.parse_args(arguments)
    options.start_method = options.start_method or list(there)
    return options


class _Formatting(logging.Handler):
    """Does with log records of workers what a handler does, and shows none."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


class Chaos:
    """Runs batches.

    Args:
        options: Of the command line.

    Attributes:
        report: What has been run.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.report = Report()
        self._options = options
        self._warm: set[str] = set()  # start methods whose helpers there are by now

    def run_batch(self, numbers: range) -> None:
        """Run cases one after the other, and see what is left when their workers have gone."""
        methods = self._options.start_method
        method = methods[numbers[0] // self._options.batch % len(methods)]
        rest()
        before = Traces.now()
        print(f"runs {numbers[0]} to {numbers[-1]}: {method}", flush=True)
        for number in numbers:
            self._run(number, method)
        with time_limit(self._options.limit, "workers are being stopped"):
            rest()
        after = Traces.now()
        left = list(after.since(before))
        if method in self._warm:
            left += after.descriptors_since(before)
        self._warm.add(method)
        if left:
            self._say(f"Runs {numbers[0]} to {numbers[-1]}", numbers, method, left)

    def _run(self, number: int, method: str) -> None:
        case = draw_case(self._options.seed, number, self._options.workers)
        what = f"{self._command(range(number, number + 1), method)}\n{case}"
        before = Traces.now()
        with time_limit(self._options.limit, what):
            begin = time.perf_counter()
            outcome, wrong = run_case(case, method)
            seconds = time.perf_counter() - begin
        self.report.add(method, case, outcome, seconds)
        after = Traces.now()
        wrong += after.since(before) if method == _FORKED else after.data_since(before)
        if wrong:
            self._say(f"Run {number}\n{case}", range(number, number + 1), method, wrong)

    def _say(self, what: str, numbers: range, method: str, wrong: Sequence[str]) -> None:
        self.report.wrong += 1
        lines = "\n".join(f"  WRONG: {each}" for each in wrong)
        print(f"\n{what}\n{lines}\n  again: {self._command(numbers, method)}\n", flush=True)

    def _command(self, numbers: range, method: str) -> str:
        return (
            f"python -m tests.chaos --seed {self._options.seed} --first {numbers[0]} "
            f"--runs {len(numbers)} --workers {self._options.workers} --start-method {method}"
        )


if __name__ == "__main__":
    sys.exit(main())
