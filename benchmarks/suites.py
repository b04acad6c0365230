"""The commands of the suites: measure, print, and write files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

_Chosen = TypeVar("_Chosen")


class UnknownNameError(ValueError):
    """A name on the command line fits nothing that can be measured."""


def start_methods(options: argparse.Namespace) -> int:
    """Run the suite ``start-methods`` and return the exit code."""
    from benchmarks import cases, start_methods, subjects
    from benchmarks.plots import draw_all
    from benchmarks.pyperf_file import write_pyperf
    from benchmarks.rounds import Plan
    from benchmarks.tables import case_table, sentences

    chosen = _chosen(lambda only: cases.select(options.quick, only), options)
    file = _file(options, "start-methods")
    plan = Plan(chosen, subjects.all_subjects(), options.rounds, options.limit, options.quick)
    results = start_methods.measure_all(plan, lambda so_far: so_far.write(file))
    for case, title in results.cases.items():
        print(f"\n{case}: {title}\n\n{case_table(results, case)}")
    _print_list(sentences(results))
    written = [file, *draw_all(results, options.output)]
    own = options.output / "start-methods.pyperf.json"
    if write_pyperf(results, own):
        written.append(own)
    _print_files(written)
    return 0


def floors(options: argparse.Namespace) -> int:
    """Run the suite ``floors`` and return the exit code."""
    from benchmarks.floors import points, report, suite
    from benchmarks.floors.plots import draw_all
    from benchmarks.floors.verdicts import judge_all

    probes = _chosen(points.select, options)
    file = _file(options, "floors")
    found = suite.measure_all(
        probes, options.rounds, options.quick, lambda so_far: so_far.write(file)
    )
    print(f"\n{report.table(judge_all(found))}")
    _print_list(report.sentences(found))
    _print_files([file, *draw_all(found, options.output).values()])
    return 1 if found.failures else 0


def peers(options: argparse.Namespace) -> int:
    """Run the suite ``peers`` and return the exit code."""
    from benchmarks.peers import cases, report, suite
    from benchmarks.peers.plots import draw_all
    from benchmarks.peers.subjects import PEERS
    from benchmarks.rounds import Plan

    chosen = _chosen(lambda only: cases.select(options.quick, only), options)
    file = _file(options, "peers")
    plan = Plan(chosen, PEERS, options.rounds, options.limit, options.quick)
    results = suite.measure_all(plan, lambda so_far: so_far.write(file))
    for case, title in results.cases.items():
        print(f"\n{case}: {title}\n\n{report.table(results, case)}")
    _print_list(report.sentences(results))
    _print_files([file, *draw_all(results, options.output)])
    return 0


def reliability(options: argparse.Namespace) -> int:
    """Run the suite ``reliability`` and return the exit code."""
    from benchmarks.reliability import cases, report, suite
    from benchmarks.rounds import Plan

    chosen = _chosen(cases.select, options)
    file = _file(options, "reliability")
    subjects = cases.subjects(options.start_method, options.quick)
    plan = Plan(chosen, subjects, options.rounds, options.limit, options.quick)
    results = suite.measure_all(plan, lambda so_far: so_far.write(file))
    print(f"\n{report.table(results)}")
    _print_list(report.sentences(results))
    _print_files([file])
    return 0


def load(options: argparse.Namespace) -> int:
    """Run the suite ``load`` and return the exit code."""
    from benchmarks.load import cases, report, suite
    from benchmarks.rounds import Plan
    from benchmarks.subjects import PRUNNER, Subject

    chosen = _chosen(lambda only: cases.select(options.quick, only), options)
    file = _file(options, "load")
    subjects = [Subject(PRUNNER, options.start_method)]
    plan = Plan(chosen, subjects, options.rounds, options.limit, options.quick)
    results = suite.measure_all(plan, lambda so_far: so_far.write(file))
    print(f"\n{report.table(results)}")
    _print_list(report.sentences(results))
    _print_files([file])
    return 1 if report.troubles(results) else 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "floors": floors,
    "load": load,
    "peers": peers,
    "reliability": reliability,
    "start-methods": start_methods,
}


def _chosen(select: Callable[[list[str]], _Chosen], options: argparse.Namespace) -> _Chosen:
    try:
        return select([name for name in options.only.split(",") if name])
    except ValueError as error:
        raise UnknownNameError(error) from error


def _file(options: argparse.Namespace, suite: str) -> Path:
    folder: Path = options.output
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{suite}.json"


def _print_list(lines: Sequence[str]) -> None:
    print()
    for line in lines:
        print(f"- {line}")
    sys.stdout.flush()


def _print_files(paths: Sequence[Path]) -> None:
    print("\nWritten:", *(f"  {path}" for path in paths), sep="\n")
