"""The table of the suite ``reliability``, and its part of ``RESULTS.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.records import FAILED, Measurement, Results
from benchmarks.reliability.cases import ALL, WORKERS
from benchmarks.reliability.suite import OTHERS_TAKE, OTHERS_TAKE_QUICK
from benchmarks.summary import Spread, subjects_of
from benchmarks.tables import head, markdown_table, number

_HOW = f"""\
Each measurement is one fresh process; runners alternate, and figures are medians of the rounds
with their ranges. All runners have {WORKERS} workers; prunner has `retries=1`, and Kedro's
`ParallelRunner` got its start method through `KEDRO_MP_CONTEXT`.

Failures are timed from inside: the node notes the time just before it raises or kills its process.
Each other node takes {OTHERS_TAKE:g} s ({OTHERS_TAKE_QUICK:g} s with `--quick`), of which 0.2 s
are over at that moment. Both runners let nodes that run go on.

What is stopped is a script with two nodes that would go on for a minute: they sleep, or are in
*native code* that holds the interpreter. Ctrl-C is SIGINT to the whole process group, as a
terminal sends it. *All workers* are all processes that the script has started, but for resource
trackers; *files* are those in its temporary folder and in shared memory; *2 s later* is after the
end of the script and of its workers. `> N` stands for what was still there after N seconds, which
is waited for once only.
"""


def table(results: Results) -> str:
    """Write all figures as one table, with a column for each runner."""
    subjects = list(dict.fromkeys(one.subject for one in results.measurements))
    lines = []
    for case, title in results.cases.items():
        if subjects_of(results, case):
            lines += _lines(results, case, title, subjects)
    return markdown_table(["What happens", "Figure", *subjects], lines)


def _lines(results: Results, case: str, title: str, subjects: Sequence[str]) -> list[list[str]]:
    found = {subject: _of(results, case, subject) for subject in subjects}
    everything = [one for each in found.values() for one in each]
    names = list(dict.fromkeys(name for one in everything for name in one.figures))
    lines = [
        [name, *(_figure(found[subject], name, results.limit) for subject in subjects)]
        for name in names
    ]
    if any(one.words or one.status == FAILED for one in everything):
        lines.append(["it ends with", *(_words(found[subject]) for subject in subjects)])
    return [["" if i else title, *line] for i, line in enumerate(lines)]


def _of(results: Results, case: str, subject: str) -> list[Measurement]:
    return [one for one in results.measurements if (one.case, one.subject) == (case, subject)]


def _figure(measurements: Sequence[Measurement], name: str, limit: float) -> str:
    spread = Spread.of(one.figures[name] for one in measurements if name in one.figures)
    if spread is None:
        return "-"
    if not name.endswith(", s"):
        low, high = f"{spread.low:g}", f"{spread.high:g}"
        return low if low == high else f"{low} to {high}"
    if spread.median >= limit:
        return f"> {limit:g}"
    high = f"> {limit:g}" if spread.high >= limit else number(spread.high)
    return f"{number(spread.median)} ({number(spread.low)} to {high})"


def _words(measurements: Sequence[Measurement]) -> str:
    failed = [f"not measured: {one.message}" for one in measurements if one.status == FAILED]
    said = dict.fromkeys([one.words for one in measurements if one.words] + failed)
    return "; ".join(said) or "-"


def sentences(results: Results) -> list[str]:
    """Say what could not be measured, and what has been left out here."""
    lines = [
        f"{one.subject} in `{one.case}`, round {one.round}: {one.message}"
        for one in results.measurements
        if one.status == FAILED
    ]
    if "Windows" in results.machine.get("System", ""):
        missing = ", ".join(case.name for case in ALL if not case.anywhere)
        lines.append(f"Left out, as they have no meaning on Windows: {missing}.")
    return lines


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
    title = "`reliability`: how long failing and stopping take"
    parts = [*head(title, results), _HOW.rstrip(), table(results), said]
    return "\n\n".join(part for part in parts if part)
