"""A run as one HTML file that needs no network. Pure, but for reading what comes with prunner.

The file has a content security policy that allows its own scripts by their digests and nothing
else: even if something on record became markup, it could neither run nor fetch anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib.resources import files
from string import Template
from typing import Any

from prunner.errors import RecordError
from prunner.report.advice import advice
from prunner.report.analysis import Analysis, Cost, analyse, waited
from prunner.report.charts import Charts, timeline
from prunner.report.figures import count, duration, percent, shorten, size
from prunner.report.markup import element, escaped, section, table
from prunner.report.phases import PHASES
from prunner.sessions.records import NodeRecord, Outcome, RunRecord, SessionRecord

_LISTED = 50  # nodes of the critical path
_FAILED = 20  # nodes
_HOSTS = 10
_MANY_TRIES = 3


def report_html(run: RunRecord, session: SessionRecord | None = None) -> str:
    """The report on a run.

    Args:
        run: The run, with its nodes.
        session: Its session, if it is on record.

    Returns:
        One self-contained HTML document, to be written as UTF-8, lines as they are.

    Raises:
        RecordError: If Plotly is needed and not installed.
    """
    analysis = analyse(run)
    charts = timeline(run, analysis)
    sources = [] if charts is None else [_plotly(), _resource("page.js")]
    scripts = [element("script", source) for source in sources]
    if charts is not None:
        scripts.insert(0, element("script", _data(charts), type="application/json", id="data"))
    return Template(_resource("page.html")).substitute(
        hashes=" ".join(map(_digest, sources)) or "'none'",
        title=escaped(f"Run {run.run_id}: {run.outcome}"),
        body="\n".join(_body(run, session, analysis, charts)),
        scripts="\n".join(scripts),
    )


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise RecordError("prunner report needs plotly: pip install 'prunner[report]'") from error
    return str(get_plotlyjs())


def _resource(name: str) -> str:
    return files("prunner.report").joinpath(name).read_text(encoding="utf-8")


def _digest(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _data(charts: Charts) -> str:
    data = {"traces": charts.traces, "layout": charts.layout, "texts": charts.texts}
    text = json.dumps(data, separators=(",", ":"))
    # The end of a script element is looked for before anybody reads JSON.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _body(
    run: RunRecord, session: SessionRecord | None, analysis: Analysis, charts: Charts | None
) -> Iterator[str]:
    yield element("h1", "Run ", escaped(run.run_id))
    yield element("p", *_headline(run, analysis))
    yield element("p", escaped(advice(run, analysis)), class_="advice")
    yield from _error(run)
    yield element("dl", *(_fact(*each) for each in _facts(run, session, analysis) if each[1]))
    yield section("Timeline", _timeline(run, charts))
    if analysis.jobs:
        yield section("Where the time went", *_times(analysis))
        yield section("The critical path", *_critical(run, analysis))
        yield section("Nodes that took longest", _costliest(run, analysis))
    yield from _failures(run)


def _headline(run: RunRecord, analysis: Analysis) -> Iterator[str]:
    names = _pipelines(run.parameters)
    yield f"Pipeline {escaped(names)}, " if names else ""
    yield element("span", escaped(run.outcome), class_=f"outcome {run.outcome.name.lower()}")
    if run.ended is not None:
        yield f" after {escaped(duration(analysis.seconds))}"
    elif analysis.seconds > 0:
        yield f"; the last sign of it came after {escaped(duration(analysis.seconds))}"


def _pipelines(parameters: Mapping[str, Any]) -> str:
    names = parameters.get("pipeline_names") or parameters.get("pipeline_name")
    return ", ".join(map(str, names)) if isinstance(names, (list, tuple)) else str(names or "")


def _error(run: RunRecord) -> Iterator[str]:
    if not run.error:
        return
    what = f"{run.error.get('type') or 'Error'}: {run.error.get('value') or ''}"
    trace = run.error.get("traceback")
    details = element("details", element("summary", "Traceback"), element("pre", escaped(trace)))
    yield element("div", element("p", escaped(what)), details if trace else "", class_="error")


def _fact(label: str, value: str) -> str:
    return element("div", element("dt", escaped(label)), element("dd", escaped(value)))


def _facts(
    run: RunRecord, session: SessionRecord | None, analysis: Analysis
) -> Iterator[tuple[str, str]]:
    data = session.data if session else {}
    yield "Began", _time(run.started)
    yield "Ended", _time(run.ended)
    yield "Runner", run.runner
    yield "Options", ", ".join(f"{name}={value}" for name, value in run.options.items())
    yield "Environment", str(data.get("env") or run.parameters.get("env") or "")
    yield "Git", _git(data.get("git"))
    yield "Project", str(data.get("package_name") or "")
    yield "Session", run.session or ""
    yield "Machine", ", ".join(_machine(run))
    yield "Versions", _versions(data)
    yield "Nodes", _outcomes(run.nodes)
    yield "Workers", _workers(run, analysis)
    yield "To resume", _resume(run.resume)


def _time(at: float | None) -> str:
    if not at:
        return ""
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _git(git: object) -> str:
    if not isinstance(git, Mapping) or not git.get("commit_sha"):
        return ""
    return f"{git['commit_sha']}{' with changes' if git.get('dirty') else ''}"


def _machine(run: RunRecord) -> Iterator[str]:
    if run.host:
        yield run.host
    yield count(run.cpus, "CPU")
    if run.memory_total is not None:
        yield f"{size(run.memory_total)} of memory"


def _versions(data: Mapping[str, Any]) -> str:
    named = ((name, data.get(f"{name.lower()}_version")) for name in ("Kedro", "prunner", "Python"))
    return ", ".join(f"{name} {version}" for name, version in named if version)


def _outcomes(nodes: tuple[NodeRecord, ...]) -> str:
    numbers = ((outcome, sum(node.outcome is outcome for node in nodes)) for outcome in Outcome)
    return ", ".join(f"{number:,} {outcome}" for outcome, number in numbers if number)


def _workers(run: RunRecord, analysis: Analysis) -> str:
    if not analysis.workers:
        return ""
    use = "" if analysis.use is None else f", busy {percent(analysis.use)} of the time"
    how = run.start_method or "start method unknown"
    if run.hosts:
        hosts = sorted(set(run.hosts.values()))
        more = f" and {len(hosts) - _HOSTS:,} others" if len(hosts) > _HOSTS else ""
        how = f"on {', '.join(hosts[:_HOSTS])}{more}"
        how += "" if run.pids.keys() <= run.hosts.keys() else f" and {run.host} itself"
    return f"{analysis.workers} ({how}){use}"


def _resume(resume: Mapping[str, Any] | None) -> str:
    options = [
        f'--{name.replace("_", "-")} "{",".join(map(str, value))}"'
        for name, value in (resume or {}).items()
        if isinstance(value, (list, tuple))
    ]
    return f"kedro run {' '.join(options)}" if options else ""


def _timeline(run: RunRecord, charts: Charts | None) -> str:
    if charts is not None:
        # The size is known before the chart is drawn, so that nothing jumps.
        style = f"height: {charts.height}px"
        chart = element("div", id="timeline", role="group", aria_label=charts.summary, style=style)
        caption = "Colours and patterns show phases; the line below nodes is the critical path. "
        return element(
            "figure", chart, element("figcaption", caption, "Drag to zoom, double-click to undo.")
        )
    if run.nodes:
        return element("p", f"None of its {count(len(run.nodes), 'node')} has come to an end.")
    who = f"runs of {run.runner}" if run.runner else "this run"
    return element("p", escaped(f"Nothing is on record of the nodes of {who}."))


def _times(analysis: Analysis) -> Iterator[str]:
    whole = sum(analysis.phases.values())
    rows = (
        [
            element("span", class_=f"key {phase}") + phase,
            duration(analysis.phases[phase]),
            percent(analysis.phases[phase] / whole if whole else 0.0),
        ]
        for phase in PHASES
    )
    heads = [("Phase", ""), ("All nodes together", "number"), ("Share", "number")]
    yield element("div", table("Share of each phase", heads, rows), class_="phases")


def _critical(run: RunRecord, analysis: Analysis) -> Iterator[str]:
    path, taken = analysis.critical_path, duration(analysis.critical_seconds)
    waiting = (
        f" They waited {duration(analysis.waiting)} though all that they depend on was there."
        if analysis.waiting >= 0.001
        else ""
    )
    chain = (
        "One node takes" if len(path) == 1 else f"{len(path):,} nodes, one after the other, take"
    )
    yield element(
        "p",
        f"{chain} {taken} of {duration(analysis.seconds)}: with any number of workers, "
        f"these nodes would take no less.{waiting}",
    )
    names = {node.step: node for node in run.nodes}
    items = [
        element("li", escaped(shorten(names[step].name, 200)), f", {_lasted(names[step])}")
        for step in path[:_LISTED]
    ]
    more = element("p", f"and {len(path) - _LISTED:,} more") if len(path) > _LISTED else ""
    yield element("details", element("summary", "Its nodes"), element("ol", *items), more)


def _lasted(node: NodeRecord) -> str:
    wait = waited(node)
    return duration(node.seconds) + (f" (waited {duration(wait)})" if wait >= 0.001 else "")


def _costliest(run: RunRecord, analysis: Analysis) -> str:
    longest = max((each.seconds for each in analysis.costliest), default=0.0)
    heads = [("Node", "name"), ("Took", "number")]
    heads += [(phase.capitalize(), "number") for phase in PHASES]
    heads += [("Memory", "number")]
    heads += [("Host", "")] if run.hosts else []
    heads += [("On critical path", ""), ("Compared", "bars")]
    rows = (_row(each, longest, run, analysis) for each in analysis.costliest)
    return table("The ten nodes that took longest", heads, rows)


def _row(each: Cost, longest: float, run: RunRecord, analysis: Analysis) -> Iterator[str]:
    tries = len(each.node.tries)
    note = f" ({count(tries, 'failed attempt')})" if tries else ""
    yield escaped(each.node.name) + note
    yield duration(each.seconds)
    yield from (duration(each.phases[phase]) for phase in PHASES)
    yield size(each.node.peak_memory)
    if run.hosts:
        yield escaped(shorten(each.node.host or run.host))
    yield "yes" if each.node.step in analysis.critical_path else "no"
    lasted = {"tries": each.seconds - sum(each.phases.values()), **each.phases}
    parts = (
        element("span", class_=part, style=f"width: {100 * seconds / longest:.2f}%")
        for part, seconds in lasted.items()
        if longest > 0 and seconds > 0
    )
    yield element("div", *parts, class_="bar", aria_hidden="true")


def _failures(run: RunRecord) -> Iterator[str]:
    failed = [node for node in run.nodes if node.error or node.tries]
    failed.sort(key=lambda node: (node.error is None, node.step))
    if not failed:
        return
    rows = (
        [escaped(node.name), escaped(node.outcome), "<br>".join(_errors(node))]
        for node in failed[:_FAILED]
    )
    heads = [("Node", "name"), ("In the end", ""), ("Errors", "name")]
    more = element("p", f"and {len(failed) - _FAILED:,} more") if len(failed) > _FAILED else ""
    yield section("What failed", table("Nodes that failed", heads, rows), more)


def _errors(node: NodeRecord) -> Iterator[str]:
    for number, each in enumerate(node.tries[:_MANY_TRIES], 1):
        yield escaped(f"try {number}: {shorten(each.error, 500)}")
    if len(node.tries) > _MANY_TRIES:
        yield f"{len(node.tries) - _MANY_TRIES:,} more tries"
    if node.error:
        yield escaped(shorten(node.error, 500))
