"""The timeline of a run as a figure of Plotly: plain data, made without it. Pure.

The text of each node is there once, and bars refer to it by number: with 2,000 nodes there are
some 8,000 bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prunner.report.analysis import Analysis
from prunner.report.figures import duration, shorten, worker_name
from prunner.report.hover import hover_text, plotly_text
from prunner.report.phases import LOAD, OTHER, RUN, SAVE, segments
from prunner.sessions.records import NodeRecord, Outcome, RunRecord

PATTERNS = {LOAD: "/", RUN: "", SAVE: "\\", OTHER: "."}
_LABELS = {LOAD: "load", RUN: "run", SAVE: "save", OTHER: "other (hooks, waiting)"}
_LANE, _STRIP = 0.7, 0.12  # heights, as shares of a lane
_UNITS = ((3 * 3600.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Charts:
    """What a page needs to draw the timeline.

    Attributes:
        traces: The traces of the figure; a colour is the name of a variable of the page's style.
        layout: Its layout, without colours.
        texts: What is to be said of each node, escaped.
        height: In pixels.
        summary: The figure in words, for those who do not see it.
    """

    traces: list[Trace]
    layout: dict[str, Any]
    texts: list[str]
    height: int
    summary: str


def timeline(run: RunRecord, analysis: Analysis) -> Charts | None:
    """Workers and their nodes, busy workers and memory on one axis of time.

    Args:
        run: The run, with its nodes.
        analysis: What its times tell.

    Returns:
        The charts, or ``None`` where there is nothing to draw.
    """
    if not analysis.jobs and not run.memory:
        return None
    scene = _Scene(run, analysis)
    traces = [each for each in scene.traces() if each["x"]]
    return Charts(traces, scene.layout(), scene.texts(), scene.height, scene.summary())


@dataclass(slots=True)
class _Bars:
    """The bars of one trace."""

    base: list[float] = field(default_factory=list)
    length: list[float] = field(default_factory=list)
    lane: list[float] = field(default_factory=list)
    node: list[int] = field(default_factory=list)

    def trace(self, name: str, colour: str, pattern: str = "", **more: Any) -> Trace:
        marker: dict[str, Any] = {"color": colour}
        if pattern:
            marker["pattern"] = {"shape": pattern, "size": 6, "solidity": 0.3}
        return {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "base": self.base,
            "x": self.length,
            "y": self.lane,
            "texts": self.node,
            "hoverinfo": "text",
            "width": _LANE,
            "marker": marker,
            **more,
        }


class _Scene:
    def __init__(self, run: RunRecord, analysis: Analysis) -> None:
        self._run, self._analysis = run, analysis
        self._unit, self._unit_name = _unit(analysis.seconds)
        numbers = {node.worker for node in run.nodes if node.started is not None}
        numbers |= {each.worker for node in run.nodes for each in node.tries}
        known = (each for each in numbers if each is not None)
        self._numbers = sorted(known, key=lambda each: (run.hosts.get(each, ""), each))
        self._lanes = {number: lane for lane, number in enumerate(self._numbers)}
        self._position = {node.step: place for place, node in enumerate(run.nodes)}
        # Many lanes are thin, so that all of them are in sight.
        lanes = len(self._lanes)
        self._rows = {
            "timeline": lanes * (34 if lanes <= 12 else 18 if lanes <= 40 else 10),
            "busy": 110 if analysis.busy else 0,
            "memory": 150 if run.memory else 0,
        }
        self._gap = 46
        rows = [row for row in self._rows.values() if row]
        self._inner = sum(rows) + self._gap * (len(rows) - 1)
        self.height = self._inner + 104

    def texts(self) -> list[str]:
        return [hover_text(node) for node in self._run.nodes]

    def traces(self) -> Iterator[Trace]:
        yield from self._phases()
        yield self._tries().trace("failed try", "--failed", "x")
        yield from self._critical()
        yield self._failed()
        yield self._busy()
        yield from self._memory()

    def _at(self, when: float) -> float:
        return round((when - self._run.started) / self._unit, 7)

    def _add(
        self, bars: _Bars, node: NodeRecord, worker: int, began: float, seconds: float
    ) -> None:
        bars.base.append(self._at(began))
        bars.length.append(round(max(seconds, 0.0) / self._unit, 7))
        bars.lane.append(self._lanes[worker])
        bars.node.append(self._position[node.step])

    def _phases(self) -> Iterator[Trace]:
        """One trace for each phase; ``other`` is the whole node, behind the rest."""
        bars = {phase: _Bars() for phase in (OTHER, LOAD, RUN, SAVE)}
        for node in self._run.nodes:
            if node.worker is None or node.started is None or node.seconds is None:
                continue
            self._add(bars[OTHER], node, node.worker, node.started, node.seconds)
            for part in segments(node):
                self._add(bars[part.phase], node, node.worker, part.began, part.seconds)
        for phase, each in bars.items():
            # Plotly makes bars without a line a pixel wide at least, and of 2,000 nodes most are
            # thinner: what is drawn last would look as if it had taken most of the time.
            line = {"width": 1 if phase == OTHER else 0.02, "color": "--paper"}
            trace = each.trace(_LABELS[phase], f"--{phase}", PATTERNS[phase])
            trace["marker"]["line"] = line
            yield trace

    def _tries(self) -> _Bars:
        bars = _Bars()
        for node in self._run.nodes:
            for each in node.tries:
                self._add(bars, node, each.worker, each.started, each.ended - each.started)
        return bars

    def _critical(self) -> Iterator[Trace]:
        """A line below the nodes of the critical path, and a thin one from each to the next."""
        nodes = {node.step: node for node in self._run.nodes}
        path = [self._ends(nodes[step]) for step in self._analysis.critical_path]
        ends = [end for node in path for end in node]
        x, y = [at for at, _ in ends], [lane for _, lane in ends]
        yield _line("to the next one", x, y, "--ink", width=1, dash="dot") | {"showlegend": False}
        # Nothing after each pair: where it is, the line is interrupted.
        yield _line("critical path", _interrupted(x), _interrupted(y), "--ink", width=3)

    def _ends(self, node: NodeRecord) -> list[tuple[float, float]]:
        if node.worker is None or node.started is None or node.ended is None:
            return []
        lane = self._lanes[node.worker] + _LANE / 2 + _STRIP / 2
        return [(self._at(node.started), lane), (self._at(node.ended), lane)]

    def _failed(self) -> Trace:
        nodes = [node for node in self._run.nodes if node.outcome is Outcome.FAILED]
        ended = [(node, node.ended) for node in nodes if node.ended and node.worker is not None]
        return {
            "type": "scatter",
            "mode": "markers",
            "name": "failed",
            "x": [self._at(at) for _, at in ended],
            "y": [self._lanes[node.worker] for node, _ in ended if node.worker is not None],
            "texts": [self._position[node.step] for node, _ in ended],
            "hoverinfo": "text",
            "marker": {"symbol": "x", "size": 12, "color": "--failed"},
        }

    def _busy(self) -> Trace:
        x = [self._at(at) for at, _ in self._analysis.busy]
        y = [float(level) for _, level in self._analysis.busy]
        return _line("busy workers", x, y, "--run", yaxis="y2", shape="hv", hover="%{y}", fill=True)

    def _memory(self) -> Iterator[Trace]:
        x = [self._at(sample.at) for sample in self._run.memory]
        used = [round(sum(sample.used.values()) / 1e9, 3) for sample in self._run.memory]
        free = [round(sample.free / 1e9, 3) for sample in self._run.memory]
        yield _line("used by workers [GB]", x, used, "--save", yaxis="y3", hover="%{y}")
        yield _line("free [GB]", x, free, "--load", yaxis="y3", hover="%{y}", dash="dash")

    def layout(self) -> dict[str, Any]:
        end = self._analysis.seconds / self._unit
        layout: dict[str, Any] = {
            "barmode": "overlay",
            "height": self.height,
            "margin": {"l": 96, "r": 16, "t": 48, "b": 56},
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "namelength": -1},
            "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
            "xaxis": {
                "title": {"text": f"{self._unit_name} since the run began"},
                "range": [-0.01 * end, 1.01 * end] if end else [0, 1],
                "anchor": "free",
                "position": 0,
            },
        }
        return layout | dict(self._axes())

    def _axes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows from top to bottom, each with its own vertical axis."""
        top = self._inner
        names = {"timeline": "yaxis", "busy": "yaxis2", "memory": "yaxis3"}
        for row, pixels in self._rows.items():
            if pixels:
                domain = [max(top - pixels, 0) / self._inner, top / self._inner]
                yield names[row], {"domain": domain, **self._axis(row)}
                top -= pixels + self._gap

    def _axis(self, row: str) -> dict[str, Any]:
        if row == "memory":
            return {"title": {"text": "memory [GB]"}, "rangemode": "tozero", "nticks": 5}
        if row == "busy":
            top = max(self._analysis.workers, 1)
            step = max(1, round(top / 4))
            return {"title": {"text": "busy"}, "range": [0, top * 1.08], "dtick": step}
        every = max(1, len(self._lanes) // 40 + (len(self._lanes) > 40))
        shown = self._numbers[::every]
        hosts = {number: shorten(host, 30) for number, host in self._run.hosts.items()}
        wide = {"automargin": True} if hosts else {}  # names are as long as those of hosts
        return wide | {
            "tickvals": [self._lanes[number] for number in shown],
            "ticktext": [plotly_text(worker_name(number, hosts)) for number in shown],
            "range": [len(self._lanes) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
        }

    def summary(self) -> str:
        return (
            f"Timeline of {len(self._analysis.jobs):,} nodes in {len(self._lanes)} lanes, one for "
            f"each worker, over {duration(self._analysis.seconds)}; below, how many workers were "
            f"busy and how much memory was in use. The tables have the most important figures."
        )


def _unit(seconds: float) -> tuple[float, str]:
    return next((unit, name) for least, unit, name in _UNITS if seconds >= least)


def _interrupted(values: list[float]) -> list[float | None]:
    return [each for end in range(0, len(values), 2) for each in (*values[end : end + 2], None)]


def _line(  # noqa: PLR0913 - what lines differ in
    name: str,
    x: list[Any],
    y: list[Any],
    colour: str,
    *,
    yaxis: str = "y",
    width: float = 2,
    shape: str = "linear",
    hover: str = "",
    dash: str = "solid",
    fill: bool = False,
) -> Trace:
    line = {"color": colour, "width": width, "shape": shape, "dash": dash}
    trace = {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "yaxis": yaxis}
    template = f"{hover} {name}<extra></extra>" if hover else None
    return trace | {
        "line": line,
        "hoverinfo": "skip",
        "hovertemplate": template,
        "fill": "tozeroy" if fill else "none",
    }
