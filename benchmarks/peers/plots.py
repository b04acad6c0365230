"""The plot of the suite: one panel for each case."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.summary import peer_rows
from benchmarks.plots import Bar, draw_panels
from benchmarks.records import Results


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw the plot of the suite.

    Args:
        results: What was measured.
        folder: Where the file goes.

    Returns:
        The file, in a list; none if there is nothing to show.
    """
    panels = [(title, _bars(results, case)) for case, title in results.cases.items()]
    shown = [(title, bars) for title, bars in panels if bars]
    if not shown:
        return []
    return [draw_panels("The same graphs through other libraries", shown, folder / "peers.png")]


def _bars(results: Results, case: str) -> list[Bar]:
    rows = peer_rows(results, case)
    return [
        Bar(row.peer, row.seconds, row.over_limit)
        for row in rows
        if row.seconds or row.over_limit is not None
    ]
