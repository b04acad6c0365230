"""The table of the suite ``load``, its verdicts, and its part of ``RESULTS.md``. Pure."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.child import PEAK, SEQUENTIAL, TIME
from benchmarks.records import LIMIT, OK, Measurement, Results
from benchmarks.summary import Spread
from benchmarks.tables import head, markdown_table, number

_HOW = """\
Each case is one fresh process with two workers, unless the case says something else. *Passed* means
that all results are those that were expected, that nothing has grown that must not, and that no
process, file or thread was left; times are only reported. *Peak* is the memory of the parent.
"""


def table(results: Results) -> str:
    """Write verdicts and figures as a table."""
    header = ["Case", "Time, s", "SequentialRunner, s", "Ratio", "Peak, MB", "Verdict"]
    cases = [case for case in results.cases if _of(results, case)]
    return markdown_table(header, [_line(results, case) for case in cases])


def _line(results: Results, case: str) -> list[str]:
    found = _of(results, case)
    time, sequential, peak = (_median(found, name) for name in (TIME, SEQUENTIAL, PEAK))
    return [
        results.cases[case],
        _cell(time),
        _cell(sequential),
        _cell(time / sequential if time and sequential else None),
        _cell(peak),
        "; ".join(dict.fromkeys(filter(None, map(_trouble, found)))) or "passed",
    ]


def _of(results: Results, case: str) -> list[Measurement]:
    return [one for one in results.measurements if one.case == case]


def _median(found: list[Measurement], name: str) -> float | None:
    spread = Spread.of(one.figures[name] for one in found if name in one.figures)
    return spread.median if spread else None


def _cell(value: float | None) -> str:
    return "-" if value is None else number(value)


def _trouble(one: Measurement) -> str:
    if one.status == LIMIT:
        return f"ended after {one.wall:.0f} s"
    if one.status != OK:
        return one.message or one.status
    return f"{one.left_behind} processes left" if one.left_behind else ""


def troubles(results: Results) -> list[str]:
    """Say what went wrong, by case."""
    found = ((one.case, _trouble(one)) for one in results.measurements)
    return [f"`{case}`: {trouble}" for case, trouble in found if trouble]


def sentences(results: Results) -> list[str]:
    """Say how many cases have passed, what went wrong, and what else was measured."""
    wrong = troubles(results)
    measured = {one.case for one in results.measurements}
    failed = {one.case for one in results.measurements if _trouble(one)}
    lines = [f"{len(measured - failed)} of {len(measured)} cases have passed.", *wrong]
    for one in results.measurements:
        further = {k: v for k, v in one.figures.items() if k not in (TIME, SEQUENTIAL, PEAK)}
        if further:
            said = "; ".join(f"{name}: {_plain(value)}" for name, value in further.items())
            lines.append(f"`{one.case}`: {said}.")
    return lines


def _plain(value: float) -> str:
    return f"{value:g}" if value == int(value) else number(value)


def section(source: Path, folder: Path) -> str:
    """Write the suite's part of the report.

    Args:
        source: The JSON file of the suite.
        folder: Where plots would go; there are none.

    Returns:
        Markdown.
    """
    results = Results.read(source)
    said = "\n".join(f"- {line}" for line in sentences(results))
    title = "`load`: many nodes, datasets, workers and runs"
    return "\n\n".join([*head(title, results, results.limit), _HOW.rstrip(), table(results), said])
