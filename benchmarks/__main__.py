"""The command line: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path

SUITES = {
    "floors": "prunner against what the machine allows: calls, copies, bounds, imports",
    "load": "many nodes, datasets, workers and runs: right, in time, and nothing left",
    "peers": "the same graphs through Dask, Ray, joblib, pipefunc, Kedro's runners and prunner",
    "reliability": "how long failing and being stopped take, beside Kedro's own runner",
    "start-methods": "fork, spawn, forkserver and loky under prunner, against Kedro's own runners",
}
_ROUNDS = {"floors": 5, "load": 1, "peers": 3, "reliability": 3, "start-methods": 3}
# Seconds per process; with "reliability" those after which what is still there is given up.
_LIMITS = {"load": 600.0, "peers": 60.0, "reliability": 15.0, "start-methods": 60.0}
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
        print("From JSON files of suites (python -m benchmarks report FILE.json ...):")
        print(f"  {'report':15} writes benchmarks/RESULTS.md and its plots")
        return 0
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"Missing: {', '.join(missing)}. Install: pip install -e .[bench]", file=sys.stderr)
        return 2
    return _report(options) if options.command == "report" else _suite(options)


def _report(options: argparse.Namespace) -> int:
    from benchmarks.report import write_report

    print(f"Written: {write_report(options.files)}")
    return 0


def _suite(options: argparse.Namespace) -> int:
    from benchmarks import suites

    options.rounds = options.rounds or (1 if options.quick else _ROUNDS[options.command])
    try:
        return suites.COMMANDS[options.command](options)
    except suites.UnknownNameError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; the rounds that were complete are kept.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks.")
    commands = parser.add_subparsers(dest="command")
    for name, line in SUITES.items():
        suite = commands.add_parser(name, help=line)
        usual = f"default: {_ROUNDS[name]}, with --quick 1"
        suite.add_argument("--quick", action="store_true", help="a first look: less, one round")
        suite.add_argument("--rounds", type=_positive_int, help=usual)
        suite.add_argument(
            "--output", type=Path, default=Path("build", "benchmarks"), help="folder for the files"
        )
        suite.add_argument(
            "--only",
            default="",
            metavar="NAME,...",
            help="default: all; a wrong name lists them",
        )
        if name in _LIMITS:
            seconds = _LIMITS[name]
            what = "until it is given up" if name == "reliability" else "per process"
            usual = f"seconds {what} (default: {seconds:g})"
            suite.add_argument("--limit", type=_positive, default=seconds, help=usual)
        if name in ("load", "reliability"):
            methods = (*multiprocessing.get_all_start_methods(), "loky")
            suite.add_argument(
                "--start-method", choices=methods, default="loky", help="prunner's (default: loky)"
            )
    report = commands.add_parser("report", help="write RESULTS.md from the files of suites")
    report.add_argument("files", type=_existing_file, nargs="+", metavar="FILE.json")
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


if __name__ == "__main__":
    raise SystemExit(main())
