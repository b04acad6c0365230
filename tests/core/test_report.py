"""The report on a run as HTML, without a browser."""

from __future__ import annotations

import json
import re
import sys
import types
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prunner.errors import RecordError
from prunner.report import page as report_module
from prunner.report.analysis import analyse
from prunner.report.charts import timeline
from prunner.report.command import file_name, report, trace
from prunner.report.markup import visible
from prunner.report.page import report_html
from prunner.sessions.records import NodeRecord, Outcome, RunRecord, Try
from tests.sample_records import BEGAN, HOSTILE, failed_run, sample_run, sample_session, spread

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser makes of a page, roughly: elements, text, the contents of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        where = self.open[-1] if self.open else ""
        if where == "script":
            self.scripts.append(data)
        elif where != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])


@pytest.fixture(autouse=True)
def _no_plotly(monkeypatch):
    """Its 5 MB have nothing in them that is looked at here."""
    monkeypatch.setattr(report_module, "_plotly", lambda: "/* plotly */")


def page_of(run: RunRecord, session: Any = None) -> Page:
    return Page(report_html(run, session))


def test_the_head_says_what_is_known():
    run = sample_run(12, 3)
    text = page_of(run, sample_session(run)).text
    for part in (
        f"Run {run.run_id}",
        "Pipeline __default__, completed after",
        "prunner.ParallelRunner",
        "max_workers=3",
        "Environment local",
        "Git a1b2c3d with changes",
        "Began 2025-06-15 15:06:40 UTC",
        "orchard, 3 CPUs, 16 GB of memory",
        "Kedro 1.0.0, Python 3.12.1",
        "Nodes 12 completed",
    ):
        assert part.replace(" ", "") in text.replace(" ", "")


def test_the_ten_nodes_that_took_longest_are_in_a_table():
    run = sample_run(30, 3)
    html = report_html(run)
    rows = html.partition("Nodes that took longest")[2].partition("</section>")[0]
    assert rows.count('<th scope="row"') == 10
    longest = max(run.nodes, key=lambda node: node.seconds or 0)
    assert longest.name in rows.partition("</tr>")[2].partition("</tr>")[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_nothing_but_text(name):
    run = sample_run(5, 2, names=(name, "b", "c", "d", "e"))
    run = replace(
        run,
        run_id=name,
        runner=name,
        host=name,
        options={name: name},
        error={"type": name, "value": name, "traceback": name},
        parameters={"pipeline_names": [name]},
        resume={"from_nodes": [name]},
        nodes=(replace(run.nodes[0], error=name), *run.nodes[1:]),
    )
    plain = replace(run, run_id="plain", runner="plain", host="plain")
    hostile, harmless = page_of(run), page_of(plain)
    assert hostile.tags == harmless.tags
    assert {"script", "main", "table"} <= set(hostile.tags)
    assert hostile.tags.count("script") == 3
    assert not {"b", "a", "img"} & set(hostile.tags)
    assert not [each for each, _ in hostile.attributes if each.startswith("on")]
    if name.isprintable():
        assert " ".join(name.split()) in hostile.text


def test_a_run_on_other_hosts_says_which_ones():
    run = spread(sample_run(12, 3), None, "lemon", "pear<br>")
    page = page_of(run)
    assert "3 (on lemon, pear<br> and orchard itself), busy" in page.text
    assert page.data["layout"]["yaxis"]["ticktext"] == [
        *(["main process"] if any(node.worker == -1 for node in run.nodes) else []),
        "worker 0",
        "worker 1 on host lemon",
        "worker 2 on host pear&lt;br&gt;",
    ]
    assert page.data["layout"]["yaxis"]["automargin"] is True
    for node, said in zip(run.nodes, page.data["texts"], strict=True):
        named = f"worker {node.worker} on host {node.host}".replace("<br>", "&lt;br&gt;")
        assert (f"<br>{named}<br>" in said) == (node.host is not None)
        assert ("on host" in said) == (node.host is not None)
    table = report_html(run).partition("Nodes that took longest")[2].partition("</section>")[0]
    assert '<th scope="col" class="">Host</th>' in table
    assert table.count('<td class="">lemon</td>') == sum(
        each.node.host == "lemon" for each in analyse(run).costliest
    )
    assert '<td class="">orchard</td>' in table


def test_lanes_of_one_host_are_beside_each_other():
    run = spread(sample_run(60, 4, seed=2), "pear", "lemon")
    shown = page_of(run).data["layout"]["yaxis"]
    lanes = dict(zip(shown["ticktext"], shown["tickvals"], strict=True))
    workers = [name for name in lanes if name != "main process"]
    hosts = [name.rpartition(" ")[2] for name in sorted(workers, key=lambda one: lanes[one])]
    assert hosts == ["lemon", "lemon", "pear", "pear"]


def test_of_many_hosts_some_are_named():
    run = spread(sample_run(40, 15), *(f"host{number:02}" for number in range(15)))
    assert "host08, host09 and 5 others), busy" in page_of(run).text


def test_a_run_on_its_own_host_names_none():
    run = spread(sample_run(12, 3), None)
    page = page_of(run)
    assert "Host" not in page.text
    assert "automargin" not in page.data["layout"]["yaxis"]
    assert not [text for text in (*page.data["texts"], page.text) if "on host" in text]


def test_hover_texts_are_escaped_for_plotly():
    texts = page_of(sample_run(12, 3, names=HOSTILE)).data["texts"]
    assert texts[0].startswith("<b>&lt;script&gt;alert(1)&lt;/script&gt;</b><br>")
    assert "%{x}" in texts[3]  # no template is made of it
    assert all(set(re.findall("<[^>]*>", text)) <= {"<b>", "</b>", "<br>"} for text in texts)
    assert all(len(text) < 300 for text in texts)
    data = page_of(sample_run(12, 3, names=HOSTILE)).data
    templates = [each.get("hovertemplate") for each in data["traces"]]
    assert {each for each in templates if each} == {
        "%{y} busy workers<extra></extra>",
        "%{y} used by workers [GB]<extra></extra>",
        "%{y} free [GB]<extra></extra>",
    }


def test_what_nobody_can_see_is_made_visible():
    assert visible("a\x00b\x7f\r\nc\ud800\u202ed\te") == "a\u2400b\u2421\nc?\ufffdd\te"
    run = replace(sample_run(3), run_id="a\x00\u202eb")
    assert "a\u2400\ufffdb" in page_of(run).text


def test_data_has_nothing_that_could_end_its_script():
    assert not set("<>&") & set(page_of(sample_run(9, names=HOSTILE)).scripts[0])


def test_nothing_is_fetched_and_scripts_are_known_by_digest():
    html = report_html(sample_run(5, 2))
    page = Page(html)
    assert not [value for name, value in page.attributes if name in ("src", "href", "action")]
    policy = re.search(r'content="(default[^"]*)"', html)
    assert policy is not None
    assert "default-src 'none'" in policy[1] and "form-action 'none'" in policy[1]
    for source in page.scripts[1:]:
        assert report_module._digest(source) in policy[1]
    assert "unsafe-inline" not in policy[1].partition("script-src")[2].partition(";")[0]


def test_there_is_one_trace_for_each_phase_and_one_bar_for_each_part():
    run = sample_run(2000, 8)
    data = page_of(run).data
    bars = {each["name"]: len(each["x"]) for each in data["traces"] if each["type"] == "bar"}
    assert bars == {
        "other (hooks, waiting)": 2000,
        "load": sum(len(node.loads) for node in run.nodes),
        "run": 2000,
        "save": 2000,
        "failed try": sum(len(node.tries) for node in run.nodes),
    }
    lanes = data["layout"]["yaxis"]["ticktext"]
    assert lanes == ["main process", *(f"worker {number}" for number in range(8))]
    html = report_html(run)
    assert len(html) < 1_100_000  # Plotly itself has 4.8 MB
    assert html.count("<tr>") < 50


def test_bars_are_where_the_record_says():
    run = sample_run(6, 2)
    charts = timeline(run, analyse(run))
    assert charts is not None
    other = next(each for each in charts.traces if each["name"].startswith("other"))
    for node, base, length in zip(run.nodes, other["base"], other["x"], strict=True):
        assert node.started is not None
        assert base == pytest.approx(node.started - BEGAN, abs=1e-5)
        assert length == pytest.approx(node.seconds, abs=1e-5)


def test_long_runs_are_told_in_minutes():
    run = sample_run(2000, 8)
    charts = timeline(run, analyse(run))
    assert charts is not None
    assert charts.layout["xaxis"]["title"]["text"] == "minutes since the run began"
    assert charts.layout["xaxis"]["range"][1] == pytest.approx(1.01 * (run.seconds or 0) / 60)


def test_the_critical_path_is_marked():
    run = sample_run(20, 2)
    found = analyse(run)
    line = next(each for each in page_of(run).data["traces"] if each["name"] == "critical path")
    nodes = {node.step: node for node in run.nodes}
    marked = [(line["x"][place], line["x"][place + 1]) for place in range(0, len(line["x"]), 3)]
    assert len(marked) == len(found.critical_path) > 1
    for step, (began, ended) in zip(found.critical_path, marked, strict=True):
        assert ended - began == pytest.approx(nodes[step].seconds, abs=1e-5)


def test_charts_are_what_plotly_understands():
    go = pytest.importorskip("plotly.graph_objects", reason="plotly is not installed")
    run = failed_run()
    charts = timeline(run, analyse(run))
    assert charts is not None
    text = re.sub('"--[a-z]+"', '"red"', json.dumps([charts.traces, charts.layout]))
    traces, layout = json.loads(text)
    for each in traces:
        each.pop("texts", None)
    go.Figure(data=traces, layout=layout)  # raises for what it does not know


def test_failed_tries_are_a_part_of_what_a_node_took():
    run = sample_run(1, 1)
    again = Try(0, BEGAN - 6, BEGAN, "E")
    run = replace(
        run, nodes=(replace(run.nodes[0], tries=(again,), started=BEGAN, ended=BEGAN + 2),)
    )
    assert 'class="tries" style="width: 75.00%"' in report_html(run)


def test_failures_are_told():
    run = failed_run()
    page = page_of(run, sample_session(run))
    assert "failed after" in page.text
    assert "ValueError: <b>bad</b> value" in page.text
    assert "There is no advice" in page.text
    assert 'kedro run --from-nodes "' in page.text
    names = [each["name"] for each in page.data["traces"]]
    assert {"failed try", "failed"} <= set(names)
    assert "What failed" in page.text


BARE = RunRecord(key="k", run_id="k")
NEVER = tuple(NodeRecord(step=step, name=f"n{step}") for step in range(3))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (BARE, "Nothing is on record of the nodes of this run."),
        (replace(BARE, runner="kedro.runner.SequentialRunner"), "of runs of kedro.runner.Seq"),
        (replace(BARE, nodes=NEVER, started=BEGAN), "None of its 3 nodes has come to an end."),
        (replace(sample_run(0), memory=()), "completed after 200 ms"),
        (
            replace(BARE, outcome=Outcome.FAILED, error={"type": "E"}, ended=1.0),
            "failed after 1.0 s",
        ),
        (
            replace(sample_run(9), outcome=Outcome.LOST, ended=None),
            "lost; the last sign of it came",
        ),
        (replace(sample_run(9), outcome=Outcome.RUNNING, ended=None), "running; the last sign"),
        (replace(failed_run(), memory=(), pids={}, started=BEGAN), "failed after"),
        (replace(sample_run(0), nodes=()), "Timeline"),
    ],
)
def test_poor_records_give_a_page_that_says_what_is_known(run, said):
    assert said in page_of(run).text


def test_a_page_without_charts_needs_no_scripts():
    html = report_html(BARE)
    assert "<script" not in html
    assert "script-src 'none'" in html


def test_without_plotly_the_error_says_what_to_install(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(RecordError, match=r"pip install 'prunner\[report\]'"):
        report_html(sample_run(3))


@pytest.fixture
def archive(monkeypatch, tmp_path):
    """An archive with one run, in place of the one in the project."""
    run = sample_run(4, 2)

    class Archive:
        def find(self, prefix: str) -> Any:
            if prefix == "session":
                return types.SimpleNamespace(run=None, session=sample_session(run))
            if not run.key.startswith(prefix):
                raise RecordError(f"No run begins with '{prefix}'.")
            return types.SimpleNamespace(run=run, session=sample_session(run))

    monkeypatch.setattr("prunner.report.command.archive_of", lambda context: Archive())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_report_writes_a_file_and_says_where(archive):
    result = CliRunner().invoke(report, ["2025-06"])
    assert (result.exit_code, result.output) == (
        0,
        "prunner-report-2025-06-15T15.06.40.000Z.html\n",
    )
    written = (archive / result.output.strip()).read_bytes()
    assert b"\r" not in written
    assert "Run 2025-06-15T15.06.40.000Z" in Page(written.decode()).text


def test_report_opens_the_file(archive, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    result = CliRunner().invoke(report, ["2025", "--open", "--output", "a b.html"])
    assert result.exit_code == 0
    assert opened == [(archive / "a b.html").as_uri()]


def test_trace_writes_a_file(archive):
    result = CliRunner().invoke(trace, ["2025", "-o", "trace.json"])
    assert (result.exit_code, result.output) == (0, "trace.json\n")
    trace_file = json.loads((archive / "trace.json").read_text(encoding="utf-8"))
    assert trace_file["otherData"]["run_id"] == "2025-06-15T15.06.40.000Z"


@pytest.mark.parametrize("command", [report, trace])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1999"], "Error: No run begins with '1999'."),
        (["session"], "Error: 'session' is a session that has no run."),
        (["2025", "-o", "none/such"], "Error: Could not open file 'none"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(archive, command, arguments, said):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert said in result.output.replace('"', "'")
    assert list(Path(archive).iterdir()) == []


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("2025-01-02T03.04.05.678Z~2", "2025-01-02T03.04.05.678Z~2"),
        ("2025-01-02T03:04:05", "2025-01-02T03-04-05"),
        ("../../etc/passwd", "etc-passwd"),
        ('a<b>"|?*\n.', "a-b"),
        ("...", "run"),
        ("x" * 300, "x" * 100),
    ],
)
def test_keys_become_names_of_files_on_every_system(key, name):
    assert file_name(key) == name
