"""How long each peer takes, and how that compares with prunner. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.cases import COLD, RUNS, mode_of
from benchmarks.peers.subjects import PRUNNER
from benchmarks.records import OK, Results
from benchmarks.summary import Row, Spread, rows_of


@dataclass(frozen=True)
class PeerRow:
    """One peer in one case.

    Attributes:
        peer: Its name.
        seconds: The whole process if cold, a later run if warm.
        peak: The most bytes of memory of all processes.
        over_limit: What is known to be exceeded, in seconds, if that is all that is known: the
            limit of a process by its number of runs.
        ratio: How many times as long as prunner it takes, at least where ``over_limit`` is known.
        trouble: What went wrong, in words.
    """

    peer: str
    seconds: Spread | None
    peak: Spread | None
    over_limit: float | None
    ratio: float | None
    trouble: str


def peer_rows(results: Results, case: str) -> list[PeerRow]:
    """Summarise each peer of a case, in the order in which they were measured."""
    rows = rows_of(results, case)
    seconds = {row.subject: _seconds(results, case, row) for row in rows}
    own = seconds.get(PRUNNER)
    runs = RUNS[mode_of(case)]
    return [_peer_row(row, seconds[row.subject], own, runs) for row in rows]


def _peer_row(row: Row, seconds: Spread | None, own: Spread | None, runs: int) -> PeerRow:
    over_limit = None if row.over_limit is None else row.over_limit / runs
    known = seconds.median if seconds else over_limit
    ratio = known / own.median if known is not None and own else None
    return PeerRow(row.subject, seconds, row.peak, over_limit, ratio, row.trouble)


def _seconds(results: Results, case: str, row: Row) -> Spread | None:
    if mode_of(case) == COLD:
        return row.wall
    own = [m for m in results.measurements if (m.case, m.subject) == (case, row.subject)]
    return Spread.of(
        median(seconds for _, seconds in m.runs) for m in own if m.status == OK and m.runs
    )


def faster_than_prunner(rows: Sequence[PeerRow]) -> list[PeerRow]:
    """The peers that take less time than prunner, the fastest first."""
    found = [row for row in rows if row.seconds and row.ratio is not None and row.ratio < 1]
    return sorted(found, key=lambda row: row.ratio or 0.0)
