"""The rounds of the suite: one fresh process for each probe, one probe after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter

from benchmarks import machine
from benchmarks.asking import ask
from benchmarks.environment import measured_environment
from benchmarks.floors.records import Floors
from benchmarks.floors.samples import Request, Sample

_LIMIT = 600.0  # seconds that one probe may take

# What a point is about, or what makes the start of a process longer.
_PACKAGES = ("kedro-telemetry", "kedro-viz", "pandas", "polars", "pyarrow")


def measure_all(
    probes: Sequence[str], rounds: int, quick: bool, after_each: Callable[[Floors], None]
) -> Floors:
    """Measure all probes, round after round. One that has failed is not tried again.

    Args:
        probes: Their names.
        rounds: How many rounds.
        quick: Whether a first look is enough.
        after_each: Called with what is known after each probe.

    Returns:
        All samples.
    """
    found = Floors(
        quick=quick,
        rounds=rounds,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine={**machine.describe(), **dict(_versions(_PACKAGES))},
        probes=list(probes),
    )
    for number in range(1, rounds + 1):
        for probe in probes:
            if probe not in found.failures:
                _measure(found, Request(probe, quick, number, rounds))
                after_each(found)
    return found


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in packages:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


def _measure(found: Floors, request: Request) -> None:
    start = perf_counter()
    environment = measured_environment(quiet=request.probe != "info")
    # Looked at rarely, as looking takes time of the CPU on which the probe measures.
    outcome, answer = ask(
        "benchmarks.floors.child", asdict(request), environment, _LIMIT, interval=5.0
    )
    if answer is not None:
        found.samples += [(request.round, Sample(*sample)) for sample in answer]
        word = "" if answer else "  nothing to measure here"
    else:
        found.failures[request.probe] = f"{outcome.status}: {outcome.last_line}"
        word = f"  {found.failures[request.probe]}"
    seconds = perf_counter() - start
    line = f"round {request.round}/{request.rounds}  {request.probe:20} {seconds:6.1f} s{word}"
    print(line, file=sys.stderr, flush=True)
