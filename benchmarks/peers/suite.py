"""One measurement of the suite: a fresh process for a case and a peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version

from benchmarks import machine, nodes
from benchmarks.asking import ask
from benchmarks.environment import measured_environment
from benchmarks.peers.cases import Case
from benchmarks.peers.child import Request
from benchmarks.peers.subjects import PEERS, Peer
from benchmarks.records import FAILED, SKIPPED, Measurement, Results
from benchmarks.rounds import Plan, measure_rounds

_CPU_SECONDS = 0.05
_INTERVAL = 0.1  # seconds between two looks at the memory, which take time of the CPU


def measure_all(plan: Plan[Case, Peer], after_each: Callable[[Results], None]) -> Results:
    """Measure all pairs of case and peer, round after round.

    Args:
        plan: What to measure.
        after_each: Called with what is known after each measurement.

    Returns:
        All that was found.
    """
    loops = nodes.calibrate(_CPU_SECONDS)
    return measure_rounds(
        "peers",
        plan,
        {**machine.describe(), **_versions()},
        lambda number, case, peer: True,
        lambda number, case, peer: _measure(number, case, peer, loops, plan.limit),
        after_each,
    )


def _versions() -> dict[str, str]:
    return {
        peer.package: version(peer.package) if peer.installed else "not installed"
        for peer in PEERS
        if peer.package not in ("kedro", "prunner")
    }


def _measure(number: int, case: Case, peer: Peer, loops: int, limit: float) -> Measurement:
    if not peer.installed:
        message = f"{peer.package} is not installed"
        return Measurement(number, case.name, peer.name, SKIPPED, 0.0, message=message)
    work = case.work
    request = Request(peer.start, work.kind, work.size, loops, case.runs)
    environment = {**measured_environment(), "RAY_USAGE_STATS_ENABLED": "0"}
    outcome, answer = ask("benchmarks.peers.child", asdict(request), environment, limit, _INTERVAL)
    runs = answer["runs"] if answer is not None else []
    return Measurement(
        round=number,
        case=case.name,
        subject=peer.name,
        status=outcome.status,
        wall=outcome.wall,
        peak=outcome.peak,
        left_behind=outcome.left_behind,
        # The first run of a process starts workers, and is not a warm one.
        runs=tuple((count, seconds) for count, seconds in runs[case.runs > 1 :]),
        message=outcome.last_line if outcome.status == FAILED else "",
    )
