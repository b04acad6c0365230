from __future__ import annotations

import json
from typing import Any

import pytest

from prunner.sessions.archive import Entry
from prunner.sessions.commands import texts
from prunner.sessions.commands.comparing import Change, as_data, as_text, compare
from prunner.sessions.plain import Described
from prunner.sessions.records import Outcome
from tests.core.session_entries import a_node, a_session, an_entry


def changes(a: Entry, b: Entry, title: str) -> list[Change]:
    found = compare(a, b)
    others = {name for name, each in found.sections.items() if each} - {title}
    assert not others
    return list(found.sections[title])


def with_params(**params: Any) -> Entry:
    return an_entry(runtime_params=params)


def test_parameters_by_their_paths() -> None:
    a = with_params(model={"lr": 0.1, "same": 1}, old=1)
    b = with_params(model={"lr": 0.2, "same": 1}, new=None)
    assert changes(a, b, "Parameters") == [
        Change("model.lr", 0.1, 0.2),
        Change("old", 1, None, only_in="a"),
        Change("new", None, None, only_in="b"),
    ]


def test_types_count_but_a_tuple_is_a_list() -> None:
    a, b = with_params(x=1, y="1", z=(1, 2)), with_params(x=True, y=1, z=[1, 2])
    assert [each.name for each in changes(a, b, "Parameters")] == ["x", "y"]


def test_of_secrets_nobody_knows() -> None:
    a = with_params(password="***", url="db://me:***@a", plain="x", key="***")
    b = with_params(password="***", url="db://me:***@b", plain="x")
    found = changes(a, b, "Parameters")
    assert found == [
        Change("password", "***", "***", "a secret"),
        Change("url", "db://me:***@a", "db://me:***@b"),
        Change("key", "***", None, only_in="a"),
    ]
    same = as_text(compare(with_params(p="***"), with_params(p="***")))
    assert "  p  cannot be compared: a secret\n" in same
    assert same.endswith("Nothing else differs in what is on record.")


@pytest.mark.parametrize(
    ("title", "before", "after", "name"),
    [
        ("Flags", {"parameters": {"tags": ("a",)}}, {"parameters": {"tags": ("b",)}}, "tags"),
        (
            "Environment variables",
            {"data": {"environment": {"A": "1"}}},
            {"data": {"environment": {"A": "2"}}},
            "A",
        ),
        ("Versions", {"data": {"kedro_version": "1"}}, {"data": {"kedro_version": "2"}}, "Kedro"),
        ("Project", {"data": {"env": "x"}}, {"data": {"env": "y"}}, "env"),
        ("Project", {}, {"parameters": {"pipeline_names": ["x"]}}, "pipelines"),
        ("Project", {}, {"data": {"git": {"commit_sha": "abc1234", "dirty": True}}}, "git"),
        ("Runner and its options", {}, {"runner": "kedro.runner.ThreadRunner"}, "runner"),
        (
            "Runner and its options",
            {"options": {"a": {"b": 1}}},
            {"options": {"a": {"b": 2}}},
            "a.b",
        ),
        (
            "Runner and its options",
            {"start_method": "fork"},
            {"start_method": "loky"},
            "start_method",
        ),
        ("Outcome", {}, {"outcome": Outcome.FAILED}, "outcome"),
    ],
)
def test_what_else_changes(
    title: str, before: dict[str, Any], after: dict[str, Any], name: str
) -> None:
    (found,) = changes(an_entry(**before), an_entry(**after), title)
    assert found.name == name


def test_uncommitted_changes_are_not_known() -> None:
    dirty = an_entry(data={"git": {"commit_sha": "abc", "dirty": True}})
    (found,) = changes(dirty, dirty, "Project")
    assert found.unknown == "abc with changes in both, which are not on record"


def test_nothing_differs() -> None:
    entry = an_entry(nodes=(a_node("a"),), runtime_params={"x": 1})
    found = compare(entry, entry)
    assert as_text(found).endswith("\n\nNothing differs in what is on record.")
    assert as_data(found)["same"] is True


def test_nodes() -> None:
    a = an_entry(
        nodes=(
            a_node("same", 0, source="1"),
            a_node("code", 1, source="1"),
            a_node("fails", 2, source="1"),
            a_node("gone", 3),
        )
    )
    b = an_entry(
        nodes=(
            a_node("new", 0),
            a_node("same", 1, source=""),
            a_node("code", 2, source="2"),
            a_node("fails", 3, source="1", outcome=Outcome.FAILED),
        )
    )
    found = compare(a, b)
    assert found.nodes == [
        Change("fails", "completed", "failed"),
        Change("gone", "completed", None, only_in="a"),
        Change("new", None, "completed", only_in="b"),
    ]
    assert found.code == [Change("code", "1", "2")]
    assert as_text(found).endswith("\nNodes whose code changed (1)\n  code")
    assert not compare(a, an_entry()).nodes, "of one run nothing is known"


def test_times_that_differ_by_enough() -> None:
    before = {"slower": 1.0, "a little": 1.0, "short": 0.01, "faster": 9.0, "not run": None}
    after = {"slower": 1.5, "a little": 1.19, "short": 0.1, "faster": 3.0, "not run": 1.0}
    a, b = (
        an_entry(nodes=tuple(a_node(name, i, seconds=s) for i, (name, s) in enumerate(x.items())))
        for x in (before, after)
    )
    found = compare(a, b)
    assert [each.name for each in found.times] == ["faster", "slower"]
    assert found.total is not None
    assert found.total.after == pytest.approx(6.79)
    lines = as_text(found).splitlines()
    start = lines.index("Durations of nodes (2)")
    assert lines[start + 1 :] == [
        "  faster      9.00 s  ->  3.00 s  -67 %",
        "  slower      1.00 s  ->  1.50 s  +50 %",
        "  all nodes  11.01 s  ->  6.79 s  -38 %",
    ]


def test_many_nodes_are_not_all_in_the_text() -> None:
    a = an_entry(nodes=(a_node("x"),))
    b = an_entry(nodes=tuple(a_node(f"n{i}", i) for i in range(70)))
    text = as_text(compare(a, b))
    assert "\nNodes (71)\n" in text
    assert "  ... and 21 more: --json shows them." in text


def test_for_programs() -> None:
    a = an_entry("a", nodes=(a_node("n"),), runtime_params={"p": 1})
    b = an_entry(
        "b", nodes=(a_node("n", seconds=5.0),), runtime_params={"p": Described("M", "M()")}
    )
    found = json.loads(json.dumps(texts.readable(as_data(compare(a, b)))))
    assert (found["a"], found["b"], found["same"]) == ("a", "b", False)
    assert found["parameters"][0]["after"] == "M()"
    assert found["node_seconds"][0]["before"] == 1.0
    assert found["all_nodes_seconds"]["after"] == 5.0
    assert found["runner_and_its_options"] == []


def test_with_a_session_that_ran_nothing() -> None:
    text = as_text(compare(an_entry(), a_session()))
    assert 'pipelines  ["__default__"] -> (none)' in text
    assert "runner  prunner.ParallelRunner -> (none)" in text
