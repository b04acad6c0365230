"""The rounds of the suite: one fresh process for each case and peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version

from benchmarks import machine, nodes
from benchmarks.asking import ask
from benchmarks.environment import measured_environment
from benchmarks.peers.cases import Case
from benchmarks.peers.child import Request
from benchmarks.peers.subjects import PEERS, Peer
from benchmarks.records import FAILED, LIMIT, SKIPPED, Measurement, Results, show

_CPU_SECONDS = 0.05
_INTERVAL = 0.1  # seconds between two looks at the memory, which take time of the CPU


@dataclass(frozen=True)
class Plan:
    """What to measure, and how.

    Attributes:
        cases: The cases.
        rounds: How often each pair of a case and a peer is measured.
        limit: Seconds that one process may take.
        quick: Whether the cases are the small ones.
    """

    cases: Sequence[Case]
    rounds: int
    limit: float
    quick: bool


def measure_all(plan: Plan, after_each: Callable[[Results], None]) -> Results:
    """Measure all pairs of case and peer, round after round.

    A pair that has once exceeded the limit, or is not installed, is not tried again.

    Args:
        plan: What to measure.
        after_each: Called with what is known after each measurement.

    Returns:
        All that was found.
    """
    results = Results(
        suite="peers",
        quick=plan.quick,
        rounds=plan.rounds,
        limit=plan.limit,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine={**machine.describe(), **_versions()},
        cases={case.name: case.title for case in plan.cases},
    )
    loops = nodes.calibrate(_CPU_SECONDS)
    hopeless: set[tuple[str, str]] = set()
    for number in range(1, plan.rounds + 1):
        for case in plan.cases:
            for peer in PEERS:
                if (case.name, peer.name) in hopeless:
                    continue
                found = _measure(number, case, peer, loops, plan.limit)
                results.measurements.append(found)
                if found.status in (LIMIT, SKIPPED):
                    hopeless.add((case.name, peer.name))
                show(found, plan.rounds)
                after_each(results)
    return results


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
