from __future__ import annotations

import datetime
import json
from pathlib import Path

from prunner.sessions.commands import showing, texts
from prunner.sessions.plain import Described
from prunner.sessions.records import MemorySample, Outcome, Try
from tests.core.session_entries import BEGAN, a_node, a_session, an_entry


def section(text: str, title: str) -> list[str]:
    """The lines below a title."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{title} ("))
    rest = lines[start + 1 :]
    return [line[2:] for line in rest[: rest.index("") if "" in rest else None]]


def test_what_a_run_was_told() -> None:
    entry = an_entry(
        runtime_params={"model": {"lr": 0.1, "empty": {}}, "day": datetime.date(2024, 1, 2)},
        parameters={"tags": ("a", "b"), "to_nodes": [], "only_missing_outputs": True, "env": None},
        data={"environment": {"KEDRO_ENV": "prod"}, "env": "prod"},
        options={"max_workers": 2, "policy": {"tries": 3}},
    )
    text = showing.as_text(entry)
    assert section(text, "Parameters") == [
        "model.lr     0.1",
        "model.empty  {}",
        "day          2024-01-02",
    ]
    assert section(text, "Flags") == [
        'tags                  ["a", "b"]',
        "only_missing_outputs  true",
    ]
    assert section(text, "Environment variables") == ["KEDRO_ENV  prod"]
    assert "\nOptions      max_workers=2, policy.tries=3\n" in text
    assert "\nVersions     Kedro 1.7.0, prunner 0.1.0, Python 3.11.7\n" in text
    assert "\nGit          abc1234\n" in text
    assert "\nDuration     2.50 s\n" in text
    assert "Nodes" not in text
    assert "Error" not in text


def test_what_a_run_ended_with() -> None:
    error = {"type": "ValueError", "value": "one\ntwo", "traceback": "Traceback:\n  line\n"}
    entry = an_entry(outcome=Outcome.FAILED, error=error, data={"git": None})
    text = showing.as_text(entry)
    assert "\nError        ValueError: one\n             two\n" in text
    assert "Traceback" not in text
    assert "Git" not in text
    assert "To go on" not in text
    known = showing.as_text(an_entry("key", resume={"from_nodes": ["a"]}))
    assert "\nTo go on     prunner sessions resume key\n" in known
    assert showing.as_text(entry, verbose=True).endswith("\n\nTraceback:\n  line")


def test_a_traceback_does_nothing_to_a_terminal() -> None:
    error = {"type": "E", "value": "a\x1b[31m", "traceback": "  File\x1b]0;x\x07\n\tE: a\x1b[31m"}
    text = showing.as_text(an_entry(outcome=Outcome.FAILED, error=error), verbose=True)
    assert text.endswith("\n  File\\x1b]0;x\\x07\n        E: a\\x1b[31m")
    assert "\x1b" not in text


def test_a_session_that_ran_nothing() -> None:
    text = showing.as_text(a_session("some"))
    assert text.startswith("Session      some\n")
    assert "Run " not in text
    assert showing.as_data(a_session("some")).keys() == {"id", "session"}


def test_nodes() -> None:
    nodes = (
        a_node("first", worker=1, peak_memory=3_000_000),
        a_node("second", 1, worker=-1, pinned="a lock", tries=(Try(0, 0.0, 1.0, "OSError: x"),)),
        a_node("third", 2, outcome=Outcome.FAILED, run_seconds=None, error="ValueError: no"),
        a_node("fourth", 3, seconds=None, outcome=Outcome.SKIPPED),
    )
    text = showing.as_text(an_entry(nodes=nodes))
    rows = [line.split("  ") for line in section(text, "Nodes")]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == list(showing._HEADS)
    assert cells[1] == [
        *["first", "completed", "1", "0.00 s", "1.00 s", "0.25 s", "0.50 s", "0.25 s"],
        *["3.0 MB", "2.5 MB", "10 B", "1"],
    ]
    assert cells[2][2:4] == ["main", "1.00 s"]
    assert cells[2][-1] == "2"
    assert cells[3][6] == "-"
    assert cells[4] == ["fourth", "skipped", *["-"] * 10]
    assert section(text, "Errors of nodes") == ["third  ValueError: no"]
    assert section(text, "Why in the main process") == ["second  a lock"]


def test_nodes_on_other_hosts_say_where() -> None:
    nodes = (
        a_node("first", worker=3, host="lemon"),
        a_node("second", 1, worker=4),
        a_node("third", 2, worker=-1),
    )
    entry = an_entry(nodes=nodes, hosts={3: "lemon"})
    rows = section(showing.as_text(entry), "Nodes")
    cells = [[cell.strip() for cell in row.split("  ") if cell.strip()][2] for row in rows]
    assert cells == ["WORKER", "3 on lemon", "4", "main"]
    found = showing.as_data(entry)["run"]
    assert found["hosts"] == {3: "lemon"}
    assert [node["host"] for node in found["nodes"]] == ["lemon", None, None]
    assert "hosts" not in showing.as_data(an_entry(nodes=nodes))["run"]


def test_only_so_many_nodes() -> None:
    entry = an_entry(nodes=tuple(a_node(f"n{i}", i) for i in range(showing.MOST_NODES + 7)))
    lines = section(showing.as_text(entry), "Nodes")
    assert len(lines) == showing.MOST_NODES + 2
    assert lines[-1] == "... and 7 more: --all-nodes shows them."
    assert len(section(showing.as_text(entry, all_nodes=True), "Nodes")) == showing.MOST_NODES + 8


def test_everything_for_programs() -> None:
    entry = an_entry(
        runtime_params={"started": 1.5, "path": Path("a"), "model": Described("M", "M()")},
        nodes=(a_node("first", tries=(Try(0, BEGAN, BEGAN, "x"),)),),
        memory=(MemorySample(BEGAN, 5, {0: 1}),),
        pids={0: 77},
    )
    found = json.loads(json.dumps(texts.readable(showing.as_data(entry)), allow_nan=False))
    run = found["run"]
    moment = "2023-11-14T22:13:20+00:00"
    assert run["started"] == moment
    assert run["seconds"] == 2.5
    assert run["outcome"] == "completed"
    assert run["parameters"]["runtime_params"] == {"started": 1.5, "path": "a", "model": "M()"}
    assert run["memory"] == [{"at": moment, "free": 5, "used": {"0": 1}}]
    assert run["pids"] == {"0": 77}
    assert run["nodes"][0]["tries"][0]["started"] == moment
    assert run["nodes"][0]["loads"][0] == {
        "dataset": "in",
        "began": moment,
        "seconds": 0.25,
        "size": 2_500_000,
    }
    assert found["session"]["data"]["kedro_version"] == "1.7.0"
