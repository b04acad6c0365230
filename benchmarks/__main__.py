"""The command line: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

SUITES = {
    "start-methods": "fork, spawn, forkserver and loky under prunner, against Kedro's own runners",
}
_NEEDED = ("matplotlib", "pyperf", "numpy", "kedro", "prunner")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        arguments: The command line without its first word; ``None`` for that of this process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    if options.command is None:
        print("Suites (python -m benchmarks SUITE --help):")
        for name, line in SUITES.items():
            print(f"  {name:15} {line}")
        print("From the JSON file of a suite (python -m benchmarks report FILE.json):")
        print(f"  {'report':15} writes benchmarks/RESULTS.md and its plots")
        return 0
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"Missing: {', '.join(missing)}. Install: pip install -e .[bench]", file=sys.stderr)
        return 2
    if options.command == "report":
        from benchmarks.report import write_report

        print(f"Written: {write_report(options.file)}")
        return 0
    try:
        return _start_methods(options)
    except KeyboardInterrupt:
        print("Stopped; the rounds that were complete are kept.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks.")
    commands = parser.add_subparsers(dest="command")
    suite = commands.add_parser("start-methods", help=SUITES["start-methods"])
    suite.add_argument("--quick", action="store_true", help="a first look: small cases, one round")
    suite.add_argument("--rounds", type=_positive_int, help="default: 3, with --quick 1")
    suite.add_argument(
        "--limit", type=_positive, default=60.0, help="seconds per process (default: 60)"
    )
    suite.add_argument(
        "--output", type=Path, default=Path("build", "benchmarks"), help="folder for the files"
    )
    suite.add_argument(
        "--only", default="", metavar="CASE,...", help="names or kinds of cases, e.g. warm,trivial"
    )
    report = commands.add_parser("report", help="write RESULTS.md from the file of a suite")
    report.add_argument("file", type=_existing_file, metavar="FILE.json")
    return parser


def _existing_file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be larger than 0")
    return value


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _start_methods(options: argparse.Namespace) -> int:
    from benchmarks import cases, start_methods, subjects
    from benchmarks.plots import draw_all
    from benchmarks.pyperf_file import write_pyperf
    from benchmarks.tables import case_table, sentences

    try:
        chosen = cases.select(options.quick, filter(None, options.only.split(",")))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    rounds = options.rounds or (1 if options.quick else 3)
    folder: Path = options.output
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "start-methods.json"
    plan = start_methods.Plan(chosen, subjects.all_subjects(), rounds, options.limit, options.quick)
    results = start_methods.measure_all(plan, lambda so_far: so_far.write(file))
    for case, title in results.cases.items():
        print(f"\n{case}: {title}\n\n{case_table(results, case)}")
    print()
    for line in sentences(results):
        print(f"- {line}")
    written = [file, *draw_all(results, folder)]
    own = folder / "start-methods.pyperf.json"
    if write_pyperf(results, own):
        written.append(own)
    print("\nWritten:", *(f"  {path}" for path in written), sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
