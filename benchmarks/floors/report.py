"""The verdicts as a table, in words, and as a part of ``RESULTS.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.floors.plots import draw_all
from benchmarks.floors.points import GROUPS, in_unit
from benchmarks.floors.records import Floors
from benchmarks.floors.verdicts import Verdict, by_group, judge_all
from benchmarks.summary import Spread
from benchmarks.tables import head, markdown_table, number

_HOW = """\
Each probe is one fresh Python process per round, in which the limit and prunner are measured in
turns. The ratio of a sample is that of two figures taken one right after the other; *Ratio* is
the median of these, and so not always the quotient of the two medians beside it. prunner has two
workers (eight for the order) and the options that are its defaults.

Nodes of *dispatch* take a small number and return one; `run()` gives back a dataset for each,
and these are dropped when the clock has stopped. *what Kedro does itself* is `run()` of a runner
that runs no node: mostly the dataset that Kedro makes for each output before any runner starts.
*beyond the first 100* is the difference of two runs by the difference of their numbers of nodes,
which takes start-up out. *Hand-off* is
the time from the end of the producer's function to the beginning of the consumer's, dispatch
included. `kedro run` is timed from outside, with Kedro's own logging; its CPU time is that of all
processes that have been waited for.
"""


def table(verdicts: Sequence[Verdict]) -> str:
    """Write verdicts as a table."""
    header = ["Point", "Limit", "prunner", "Ratio", "Range", "Target", "Verdict"]
    return markdown_table(header, [_line(verdict) for verdict in verdicts])


def _line(verdict: Verdict) -> list[str]:
    point, ratio = verdict.point, verdict.ratio
    return [
        point.name,
        in_unit(verdict.limit.median, point.unit),
        in_unit(verdict.figure.median, point.unit),
        number(ratio.median),
        _range(ratio),
        "-" if point.target is None else f"{point.target:g}",
        verdict.word,
    ]


def _range(spread: Spread) -> str:
    return f"{number(spread.low)} to {number(spread.high)}"


def sentences(floors: Floors) -> list[str]:
    """Say in words what the verdicts are, and what could not be measured."""
    judged = [verdict for verdict in judge_all(floors) if verdict.met is not None]
    missed = [verdict for verdict in judged if not verdict.met]
    lines = [f"{len(judged) - len(missed)} of {len(judged)} targets are met."]
    lines += [
        f"Not met: `{verdict.point.name}` is {number(verdict.ratio.median)} times its limit, "
        f"{verdict.point.target:g} is wanted."
        for verdict in missed
    ]
    lines += [f"Failed: `{probe}` ({what})." for probe, what in floors.failures.items()]
    return lines


def section(source: Path, folder: Path) -> str:
    """Write the suite's part of the report.

    Args:
        source: The JSON file of the suite.
        folder: Where its plots go; the report lies in the folder above.

    Returns:
        Markdown.
    """
    floors = Floors.read(source)
    plots = draw_all(floors, folder)
    return document(floors, {group: f"{folder.name}/{path.name}" for group, path in plots.items()})


def document(floors: Floors, plots: Mapping[str, str]) -> str:
    """Write the suite's part of the report.

    Args:
        floors: What was measured.
        plots: The plot of each group.

    Returns:
        Markdown.
    """
    parts = [
        *head("`floors`: prunner against what the machine allows", floors),
        _HOW.rstrip(),
        "\n".join(f"- {line}" for line in sentences(floors)),
    ]
    for group, verdicts in by_group(judge_all(floors)).items():
        parts += [f"### {GROUPS[group]}", table(verdicts), _explained(verdicts)]
        if group in plots:
            parts.append(f"![{group}]({plots[group]})")
    return "\n\n".join(parts)


def _explained(verdicts: Sequence[Verdict]) -> str:
    points = [verdict.point for verdict in verdicts]
    return "\n".join(f"- `{one.name}`: {one.title}, against {one.limit}." for one in points)
