"""What was run, counted, as a table."""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.chaos.cases import Case
from tests.chaos.check import Outcome

_SECONDS = "seconds"


class Report:
    """Counts runs for each start method."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.wrong = 0

    def add(self, start_method: str, case: Case, outcome: Outcome, seconds: float) -> None:
        """Count a run."""
        counts = self._counts[start_method]
        counts["runs"] += 1
        counts["nodes"] += len(case.nodes)
        counts[_SECONDS] += round(seconds * 1000)
        counts[f"ended: {outcome.kind}"] += 1
        for fault in case.faults():
            counts["faults"] += 1
            counts["faults at the first try only"] += fault.once
            counts[f"fault: {fault.kind}"] += 1
            counts[f"fault at: {fault.place}"] += 1

    def __str__(self) -> str:
        methods = sorted(self._counts)
        columns = [self._counts[each] for each in methods]
        columns.append(sum(columns, Counter()))
        rows = [["", *methods, "all"]]
        for name in sorted(columns[-1], key=_place_in_table):
            rows.append([name, *(_shown(name, each[name]) for each in columns)])
        width = max(len(row[0]) for row in rows)
        return "\n".join(
            row[0].ljust(width) + "".join(cell.rjust(12) for cell in row[1:]) for row in rows
        )


def _place_in_table(name: str) -> tuple[int, str]:
    first = ("runs", "nodes", "ended", "faults", "fault at", "fault", _SECONDS)
    return first.index(name.partition(":")[0].partition(" at the")[0]), name


def _shown(name: str, count: int) -> str:
    return f"{count / 1000:.1f}" if name == _SECONDS else str(count)
