"""The suite's figures as tables, in words, and as a part of ``RESULTS.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.plots import draw_all
from benchmarks.peers.subjects import PEERS, PRUNNER
from benchmarks.peers.summary import PeerRow, faster_than_prunner, peer_rows
from benchmarks.records import Results
from benchmarks.tables import head, markdown_table, number

_REASONS = Path(__file__).resolve().parent.parent / "reasons.md"

_HOW = """\
The same node functions, with two workers each, and each measurement in a fresh process. *Cold*
is a process that runs the graph once, timed from outside: imports, start, run, end. *Warm* is a
later run in a process that has run the graph before, timed inside. Each result is checked. `> N`
stands for a process that was ended before it had come to its end: N is the limit of a process,
divided by its number of runs if it was warm. Kedro's runners and prunner run one named node for
each call, with a catalog; the others are used as their documentation recommends:
"""


def table(results: Results, case: str) -> str:
    """Write the table of a case."""
    header = ["Peer", "Seconds", "Range", "Times prunner's", "Peak, MB"]
    return markdown_table(header, [_line(row) for row in peer_rows(results, case)])


def _line(row: PeerRow) -> list[str]:
    more = "> " if row.over_limit is not None else ""
    return [
        row.peer,
        _figure(row),
        f"{number(row.seconds.low)} to {number(row.seconds.high)}" if row.seconds else "-",
        f"{more}{number(row.ratio)}" if row.ratio is not None else "-",
        number(row.peak.median * 1e-6) if row.peak else "-",
    ]


def _figure(row: PeerRow) -> str:
    if row.seconds is not None:
        return number(row.seconds.median)
    return f"> {row.over_limit:g}" if row.over_limit is not None else "no figure"


def sentences(results: Results) -> list[str]:
    """Say where prunner is the fastest, where it is not and by how much, and what failed."""
    lines = []
    for case in results.cases:
        lines += _comparison(case, peer_rows(results, case))
    for case in results.cases:
        rows = peer_rows(results, case)
        lines += [f"{row.peer} in `{case}`: {row.trouble}." for row in rows if row.trouble]
    return lines


def _comparison(case: str, rows: Sequence[PeerRow]) -> list[str]:
    own = next((row.seconds for row in rows if row.peer == PRUNNER), None)
    if own is None:
        return [f"`{case}`: no figure of prunner."]
    faster = faster_than_prunner(rows)
    if not faster:
        return [f"`{case}`: prunner is the fastest."]
    listed = ", ".join(
        f"{row.peer} {number(row.seconds.median)} s (prunner takes {number(1 / row.ratio)} times "
        "as long)"
        for row in faster
        if row.seconds and row.ratio
    )
    return [f"`{case}`: prunner takes {number(own.median)} s and is not the fastest: {listed}."]


def section(source: Path, folder: Path) -> str:
    """Write the suite's part of the report.

    Args:
        source: The JSON file of the suite.
        folder: Where its plots go; the report lies in the folder above.

    Returns:
        Markdown.
    """
    results = Results.read(source)
    plots = [f"{folder.name}/{path.name}" for path in draw_all(results, folder)]
    reasons = _REASONS.read_text(encoding="utf-8").strip() if _REASONS.exists() else ""
    return document(results, plots, reasons)


def document(results: Results, plots: Sequence[str], reasons: str) -> str:
    """Write the suite's part of the report.

    Args:
        results: What was measured.
        plots: The plots, relative to the report.
        reasons: Why prunner is not the fastest where it is not, written by hand.

    Returns:
        Markdown.
    """
    parts = [
        *head("`peers`: the same graphs through other libraries", results, results.limit),
        _HOW.rstrip(),
        "\n".join(f"- {peer.name}: {peer.usage}." for peer in PEERS),
        "\n".join(f"- {line}" for line in sentences(results)),
    ]
    if reasons:
        parts += ["### Why prunner is not the fastest, where it is not", reasons]
    for case, title in results.cases.items():
        parts += [f"### {title}", table(results, case)]
    parts += [f"![{Path(plot).stem}]({plot})" for plot in plots]
    return "\n\n".join(parts)
