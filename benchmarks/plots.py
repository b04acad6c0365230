"""The plots of a suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import NOTHING, WARM
from benchmarks.records import Results
from benchmarks.subjects import KEDRO, PRUNNER, parse
from benchmarks.summary import Row, Spread, rows_of, warm_rows

_COLOURS = {PRUNNER: "#0072b2", KEDRO: "#d55e00"}
_OTHER_COLOUR = "#8c8c8c"

# From here on the smallest bars of a panel could not be told apart any more.
_LOGARITHMIC_FROM = 15


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        subject: What stands beside it.
        value: Its length, with what it varies by; ``None`` if there is none.
        at_least: A length that is known to be exceeded.
    """

    subject: str
    value: Spread | None
    at_least: float | None = None


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw all plots of a suite.

    Args:
        results: What was measured.
        folder: Where the files go.

    Returns:
        The files.
    """
    cases = [case for case in results.cases if case not in (WARM, NOTHING)]
    drawn = []
    if cases:
        panels = [(results.cases[case], _bars(results, case, _time_bar)) for case in cases]
        path = folder / f"{results.suite}-times.png"
        drawn.append(draw_panels("Time of the whole process, seconds", panels, path))
        panels = [(results.cases[case], _bars(results, case, _memory_bar)) for case in cases]
        path = folder / f"{results.suite}-memory.png"
        drawn.append(draw_panels("Peak memory of all processes together, MB", panels, path))
    warm = [Bar(row.subject, _scaled(row.cost, 1000)) for row in warm_rows(results)]
    if warm:
        path = folder / f"{results.suite}-per-node.png"
        drawn.append(draw_panels("Milliseconds per node", [(results.cases[WARM], warm)], path))
    return drawn


def _bars(results: Results, case: str, make: Callable[[Row], Bar]) -> list[Bar]:
    return [make(row) for row in rows_of(results, case)]


def _time_bar(row: Row) -> Bar:
    return Bar(row.subject, row.wall, row.over_limit)


def _memory_bar(row: Row) -> Bar:
    return Bar(row.subject, _scaled(row.peak, 1e-6) if row.peak else None)


def _scaled(spread: Spread, factor: float) -> Spread:
    return Spread(spread.median * factor, spread.low * factor, spread.high * factor)


def draw_panels(title: str, panels: Sequence[tuple[str, Sequence[Bar]]], path: Path) -> Path:
    """Draw one panel of bars for each case, two beside each other.

    Args:
        title: What stands above all.
        panels: The title and the bars of each.
        path: The file.

    Returns:
        The file.
    """
    # Late and with this backend, as the tables need neither matplotlib nor a display.
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    height = 0.6 + sum(
        0.9 + 0.27 * max(len(bars) for _, bars in panels[i * columns : (i + 1) * columns])
        for i in range(lines)
    )
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(6.5 * columns, height), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(h_pad=0.12)
    figure.suptitle(f"{title} (median; line: smallest to largest)", fontsize=12)
    for axis, (name, bars) in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, name, bars)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _draw_panel(axis: Any, name: str, bars: Sequence[Bar]) -> None:
    lengths = [_length(bar) for bar in bars]
    known = [length for length in lengths if length > 0]
    axis.set_title(name[0].upper() + name[1:], fontsize=10, loc="left")
    logarithmic = bool(known) and max(known) / min(known) >= _LOGARITHMIC_FROM
    if logarithmic:
        axis.set_xscale("log")
        lowest = min([*known, *(bar.value.low for bar in bars if bar.value and bar.value.low > 0)])
        axis.set_xlim(lowest / 1.5, max(known) * 4)
    elif known:
        axis.set_xlim(0, max(known) * 1.25)
    for position, bar in enumerate(bars):
        _draw_bar(axis, position, bar, logarithmic)
    axis.set_yticks(range(len(bars)), [bar.subject for bar in bars], fontsize=9)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(axis="x", labelsize=8)
    if logarithmic:
        axis.set_xticks(_ticks(*axis.get_xlim()))
        axis.minorticks_off()
        axis.xaxis.set_major_formatter("{x:g}")
        axis.grid(axis="x", color="#dddddd")
        axis.set_axisbelow(True)
        axis.set_xlabel("logarithmic scale", fontsize=8)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others on a logarithmic scale: 1, 3, 10, 30, ..."""
    found = (factor * 10.0**power for power in range(-6, 7) for factor in (1, 3))
    return [tick for tick in found if low <= tick <= high]


def _draw_bar(axis: Any, position: int, bar: Bar, logarithmic: bool) -> None:
    colour = _COLOURS.get(parse(bar.subject).runner, _OTHER_COLOUR)
    length = _length(bar)
    if not logarithmic:
        hatch = "" if bar.value else "////"
        axis.barh(position, length, color=colour, alpha=0.75, hatch=hatch, height=0.72)
    elif length > 0:
        # A logarithmic scale has no zero from which a bar could start.
        axis.plot(length, position, "o" if bar.value else ">", color=colour, markersize=8)
    end = length
    if bar.value:
        axis.hlines(position, bar.value.low, bar.value.high, color="black", linewidth=1)
        end = max(length, bar.value.high)
    start = (end if end > 0 else axis.get_xlim()[0], position)
    axis.annotate(
        _label(bar),
        start,
        xytext=(7 if logarithmic else 3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        annotation_clip=False,
    )


def _length(bar: Bar) -> float:
    return bar.value.median if bar.value else bar.at_least or 0.0


def _label(bar: Bar) -> str:
    if bar.value:
        return f"{bar.value.median:.3g}"
    return f"> {bar.at_least:g}" if bar.at_least is not None else "no figure"
