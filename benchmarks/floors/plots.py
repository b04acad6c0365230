"""The plots of the suite: for each group of points, their ratios and what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.floors.points import GROUPS, in_unit
from benchmarks.floors.records import Floors
from benchmarks.floors.verdicts import Verdict, by_group, judge_all

_COLOURS = {True: "#009e73", False: "#d55e00", None: "#8c8c8c"}
_WORDS = {True: "target met", False: "target not met", None: "no target"}
_ROUND_NUMBERS = (0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw_all(floors: Floors, folder: Path) -> dict[str, Path]:
    """Draw a plot for each group that was measured.

    Args:
        floors: What was measured.
        folder: Where the files go.

    Returns:
        The files, by group.
    """
    return {
        group: _draw(group, verdicts, folder / f"floors-{group.replace(' ', '-').lower()}.png")
        for group, verdicts in by_group(judge_all(floors)).items()
    }


def _draw(group: str, verdicts: Sequence[Verdict], path: Path) -> Path:
    # Late and with this backend, as the tables need neither matplotlib nor a display.
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    height = 1.5 + 0.52 * len(verdicts)
    figure, axis = pyplot.subplots(figsize=(10, height), layout="constrained")
    axis.set_title(GROUPS[group], fontsize=12, loc="left", pad=10)
    _prepare(axis, verdicts)
    for position, verdict in enumerate(verdicts):
        _draw_line(axis, position, verdict)
    _draw_legend(figure, pyplot, verdicts)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _prepare(axis: Any, verdicts: Sequence[Verdict]) -> None:
    low, high = _limits(verdicts)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.set_ylim(len(verdicts) - 0.4, -0.6)
    ticks = [tick for tick in _ROUND_NUMBERS if low <= tick <= high]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=9)
    axis.minorticks_off()
    axis.set_xlabel("prunner / limit (1: as fast as the limit; logarithmic)", fontsize=9)
    axis.set_yticks(range(len(verdicts)), [_name(verdict) for verdict in verdicts], fontsize=9)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="x", color="#e5e5e5")
    axis.set_axisbelow(True)
    axis.axvline(1, color="#555555", linewidth=1)


def _limits(verdicts: Sequence[Verdict]) -> tuple[float, float]:
    known = [1.0, *(ratio for verdict in verdicts for ratio in verdict.ratios if ratio > 0)]
    known += [verdict.point.target for verdict in verdicts if verdict.point.target]
    return min(0.5, min(known) / 1.3), max(2.0, max(known) * 1.3)


def _name(verdict: Verdict) -> str:
    return f"{verdict.point.title}\nagainst {verdict.point.limit}"


def _draw_line(axis: Any, position: int, verdict: Verdict) -> None:
    colour, median = _COLOURS[verdict.met], verdict.ratio.median
    for ratio in verdict.ratios:
        if ratio > 0:
            axis.plot(ratio, position, "o", color=colour, alpha=0.25, markersize=5, mew=0)
    if median > 0:
        axis.plot(median, position, "o", color=colour, markersize=9, zorder=3)
    if verdict.point.target is not None:
        at = verdict.point.target
        axis.plot([at, at], [position - 0.3, position + 0.3], color="black", linewidth=2.5)
    # At the right edge, where no point of the plot can be below them.
    unit = verdict.point.unit
    times = f"{in_unit(verdict.figure.median, unit)} / {in_unit(verdict.limit.median, unit)}"
    _write(axis, position - 0.13, f"{median:.2f}", fontsize=10, color=colour, fontweight="bold")
    _write(axis, position + 0.2, times, fontsize=7.5, color="#555555")


def _write(axis: Any, position: float, text: str, **style: Any) -> None:
    place = ("axes fraction", "data")
    at = (1.01, position)
    axis.annotate(text, at, xycoords=place, va="center", annotation_clip=False, **style)


def _draw_legend(figure: Any, pyplot: Any, verdicts: Sequence[Verdict]) -> None:
    def mark(word: str, colour: str, **style: Any) -> Any:
        return pyplot.Line2D([], [], color=colour, label=word, linestyle="none", **style)

    found = {verdict.met for verdict in verdicts}
    marks = [
        mark(f"median, {_WORDS[met]}", _COLOURS[met], marker="o", markersize=8)
        for met in (True, False, None)
        if met in found
    ]
    marks.append(mark("one sample", "#8c8c8c", marker="o", markersize=5, alpha=0.4))
    if found - {None}:
        marks.append(mark("target", "black", marker="|", markersize=11, markeredgewidth=2.5))
    figure.legend(handles=marks, loc="outside lower right", ncols=5, fontsize=9, frameon=False)
