"""The summary as Markdown tables, and as plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from benchmarks.cases import WARM
from benchmarks.records import Results
from benchmarks.subjects import PRUNNER, parse
from benchmarks.summary import (
    WANTED_RATIO,
    Row,
    Spread,
    WarmRow,
    rows_of,
    times_as_long,
    warm_rows,
)

_NONE = "-"
_MEGABYTE = 1_000_000


def number(value: float) -> str:
    """Write a number with as many digits as its size deserves."""
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


class Measured(Protocol):
    """What the head of a suite's part of the report tells."""

    quick: bool
    rounds: int
    started: str
    machine: Mapping[str, str]

    @property
    def complete_rounds(self) -> int:
        """How many rounds there were."""


def head(title: str, results: Measured, limit: float | None = None) -> list[str]:
    """Write the head of a suite's part of the report.

    Args:
        title: What the suite is.
        results: What was measured.
        limit: Seconds that each process might take.

    Returns:
        Paragraphs.
    """
    kind = "A first look (`--quick`)" if results.quick else "Measured"
    rounds = f"{kind} on {results.started}, {results.complete_rounds} of {results.rounds} round(s)"
    return [
        f"## {title}",
        f"{rounds}." if limit is None else f"{rounds}, at most {limit:g} s per process.",
        markdown_table(["What", "Value"], [[*pair] for pair in results.machine.items()]),
    ]


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table that can also be read as it is; numbers, all but the first column, right.

    Args:
        header: Names of the columns.
        lines: The cells.

    Returns:
        The table, without a line end.
    """
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (header, *lines)]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(header))]
    first, *others = [
        "| "
        + " | ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in cells
    ]
    rule = "| " + " | ".join("-" * (w - 1) + (":" if i else "-") for i, w in enumerate(widths))
    return "\n".join([first, f"{rule} |", *others])


def case_table(results: Results, case: str) -> str:
    """Write the table of a case."""
    if case == WARM:
        return _warm_table(warm_rows(results))
    rows = rows_of(results, case)
    header = [
        "Runner",
        "Process, s",
        "(range)",
        "run(), s",
        "per node, ms",
        "Sequential / this",
        "Kedro's / this",
        "Peak, MB",
        "Extra, MB",
    ]
    by_name = {row.subject: row for row in rows}
    lines = []
    for row in rows:
        subject = parse(row.subject)
        rival = by_name.get(subject.rival) if subject.runner == PRUNNER else None
        lines.append(
            [
                row.subject,
                _wall(row),
                _range(row.wall),
                number(row.run.median) if row.run else _NONE,
                number(row.per_node * 1000) if row.per_node is not None else _NONE,
                _ratio(row, by_name.get("sequential")),
                _ratio(row, rival),
                number(row.peak.median / _MEGABYTE) if row.peak else _NONE,
                number(row.extra / _MEGABYTE) if row.extra is not None else _NONE,
            ]
        )
    return markdown_table(header, lines)


def _wall(row: Row) -> str:
    if row.wall is not None:
        return number(row.wall.median)
    return f"> {row.over_limit:g}" if row.over_limit is not None else "failed"


def _range(spread: Spread | None, factor: float = 1) -> str:
    if spread is None:
        return _NONE
    return f"{number(spread.low * factor)} to {number(spread.high * factor)}"


def _ratio(row: Row, other: Row | None) -> str:
    ratio, at_least = times_as_long(row, other)
    return _NONE if ratio is None else f"{'> ' if at_least else ''}{number(ratio)}"


def _warm_table(rows: Sequence[WarmRow]) -> str:
    header = ["Runner", "Nodes", "per node, ms", "(range)", "Compared with", "Its / this"]
    lines = [
        [
            row.subject,
            f"{row.sizes[0]} to {row.sizes[1]}",
            number(row.cost.median * 1000),
            _range(row.cost, 1000),
            row.rival or _NONE,
            number(row.ratio) if row.ratio is not None else _NONE,
        ]
        for row in rows
    ]
    return markdown_table(header, lines)


def sentences(results: Results) -> list[str]:
    """Say in words what the numbers say, and no more."""
    return [
        *_warm_sentences(warm_rows(results)),
        *(line for case in results.cases if case != WARM for line in _case_sentence(results, case)),
        *(line for case in results.cases for line in _trouble_sentences(results, case)),
    ]


def _warm_sentences(rows: Sequence[WarmRow]) -> list[str]:
    by_name = {row.subject: row for row in rows}
    compared = [(row, by_name[row.rival]) for row in rows if row.rival]
    lines = []
    for row, other in compared:
        times = f"{number(row.ratio)} times as much" if row.ratio else "too noisy for a ratio"
        lines.append(f"A further trivial node costs {_cost(row)} and {_cost(other)}: {times}.")
    ratios = [row.ratio for row, _ in compared if row.ratio]
    if ratios and len(ratios) == len(compared):
        met = "met" if min(ratios) >= WANTED_RATIO else "not met"
        lines.append(
            f"The smallest of these ratios is {number(min(ratios))}; at least {WANTED_RATIO} is "
            f"wanted: {met}."
        )
    return lines


def _cost(row: WarmRow) -> str:
    milliseconds = number(row.cost.median * 1000)
    return f"{milliseconds} ms with {row.subject} ({row.sizes[0]} to {row.sizes[1]} nodes)"


def _case_sentence(results: Results, case: str) -> list[str]:
    timed = [(row, row.wall.median) for row in rows_of(results, case) if row.wall]
    if len(timed) < 2:
        return []
    fastest, quickest = min(timed, key=lambda pair: pair[1])
    slowest, longest = max(timed, key=lambda pair: pair[1])
    line = (
        f"{results.cases[case]}: {fastest.subject} takes the least time as a whole process "
        f"({number(quickest)} s), {slowest.subject} the most ({number(longest)} s) of those that "
        "ended."
    )
    return [line[0].upper() + line[1:]]


def _trouble_sentences(results: Results, case: str) -> list[str]:
    rows = rows_of(results, case)
    return [f"{row.subject} in {case}: {row.trouble}." for row in rows if row.trouble]
