"""The suites ``reliability`` and ``load``: cases, tables, verdicts, and one small case of each."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import load, reliability
from benchmarks.__main__ import main
from benchmarks.load import cases as load_cases
from benchmarks.load import report as load_report
from benchmarks.load.child import PEAK, SEQUENTIAL, TIME
from benchmarks.load.datasets import odd_names
from benchmarks.load.graphs import layers_and_chains
from benchmarks.load.soak import Usage
from benchmarks.records import FAILED, LIMIT, OK, Measurement, Results
from benchmarks.reliability import cases, marks, report
from benchmarks.report import write_report

KEDRO, PRUNNER = "kedro fork", "prunner loky"
END, LEFT = "until the end, s", "processes left"


def measured(
    case: str, subject: str, figures: dict[str, float], status: str = OK, words: str = ""
) -> Measurement:
    message = "Boom." if status == FAILED else ""
    return Measurement(1, case, subject, status, 1.0, message=message, figures=figures, words=words)


@pytest.fixture
def failing() -> Results:
    measurements = [
        *(
            measured("raises", PRUNNER, {END: seconds}, words="E, no results")
            for seconds in (3.0, 1.0, 2.0)
        ),
        measured("raises", KEDRO, {}, FAILED),
        measured("ctrl-c", PRUNNER, {END: 0.5, LEFT: 0}),
        measured("ctrl-c", PRUNNER, {END: 15.0, LEFT: 2}),
        measured("ctrl-c", PRUNNER, {END: 0.4, LEFT: 0}),
        measured("ctrl-c", KEDRO, {END: 15.0, LEFT: 3}, LIMIT),
    ]
    titles = {"raises": "a node raises", "ctrl-c": "Ctrl-C", "killed": "not measured yet"}
    machine = {"CPU": "abacus", "System": "Linux"}
    return Results("reliability", False, 3, 15.0, "today", machine, titles, measurements)


@pytest.fixture
def loaded() -> Results:
    figures = {TIME: 2.0, SEQUENTIAL: 4.0, PEAK: 80.0, "workers used": 4, "half, s": 0.25}
    measurements = [
        measured("good", PRUNNER, figures),
        measured("bad", PRUNNER, {}, FAILED),
        measured("slow", PRUNNER, {}, LIMIT),
        Measurement(1, "untidy", PRUNNER, OK, 1.0, left_behind=2, figures={TIME: 1.0}),
    ]
    titles = {name: f"a {name} one" for name in ("good", "bad", "slow", "untidy")}
    return Results("load", False, 1, 60.0, "today", {"CPU": "abacus"}, titles, measurements)


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_figures_survive_the_json_file(failing: Results, tmp_path: Path) -> None:
    failing.write(tmp_path / "a.json")
    assert Results.read(tmp_path / "a.json") == failing


def test_table_has_medians_ranges_and_what_was_given_up(failing: Results) -> None:
    header, _, *lines = rows(report.table(failing))
    assert header == ["What happens", "Figure", PRUNNER, KEDRO]
    assert lines == [
        ["a node raises", END, "2.00 (1.00 to 3.00)", "-"],
        ["", "it ends with", "E, no results", "not measured: Boom."],
        ["Ctrl-C", END, "0.50 (0.40 to > 15)", "> 15"],
        ["", LEFT, "0 to 2", "3"],
    ]


def test_sentences_say_what_failed_and_what_is_left_out(failing: Results) -> None:
    assert report.sentences(failing) == ["kedro fork in `raises`, round 1: Boom."]
    failing.machine = {"System": "Windows-11"}
    assert "no meaning on Windows: ctrl-c, " in report.sentences(failing)[1]


def test_cases_are_chosen_by_name_or_beginning() -> None:
    names = [case.name for case in cases.ALL]
    assert len(set(names)) == len(names)
    assert [case.name for case in cases.select([], "linux")] == names
    assert [case.name for case in cases.select(["ctrl"], "linux")] == ["ctrl-c", "ctrl-c-native"]
    assert [case.name for case in cases.select(["raises"], "linux")] == ["raises"]
    assert [case.name for case in cases.select(["sig"], "win32")] == ["sigkill", "sigkill-native"]
    with pytest.raises(ValueError, match="Unknown case: ctlr"):
        cases.select(["ctlr"])


def test_load_cases_are_chosen_by_name() -> None:
    assert [case.name for case in load_cases.select(False, ["soak", "nodes"])] == ["nodes", "soak"]
    assert "20,000" in load_cases.FULL[0].title
    with pytest.raises(ValueError, match="Unknown case: saok"):
        load_cases.select(True, ["saok"])


def test_each_case_has_its_probe() -> None:
    pytest.importorskip("pyperf")
    for package, found in ((reliability, cases.ALL), (load, load_cases.FULL)):
        for case in found:
            module, _, function = case.probe.partition(":")
            assert callable(getattr(import_module(f"{package.__name__}.{module}"), function))


def test_load_table_has_verdicts(loaded: Results) -> None:
    lines = rows(load_report.table(loaded))[2:]
    assert lines == [
        ["a good one", "2.00", "4.00", "0.50", "80.0", "passed"],
        ["a bad one", "-", "-", "-", "-", "Boom."],
        ["a slow one", "-", "-", "-", "-", "ended after 1 s"],
        ["a untidy one", "1.00", "-", "-", "-", "2 processes left"],
    ]


def test_load_sentences_have_further_figures(loaded: Results) -> None:
    assert load_report.sentences(loaded) == [
        "1 of 4 cases have passed.",
        "`bad`: Boom.",
        "`slow`: ended after 1 s",
        "`untidy`: 2 processes left",
        "`good`: workers used: 4; half, s: 0.25.",
    ]


@pytest.mark.parametrize(
    ("after", "grown"),
    [
        (Usage(104.0, 51.0, 20, 14, 8), []),
        (Usage(116.0, 50.0, 20, 14, 8), ["memory of the parent"]),
        (Usage(100.0, 80.0, 20, 14, 8), ["memory of a worker"]),
        (Usage(90.0, 50.0, 40, 40, 9), ["files of the parent", "files of a worker", "threads"]),
    ],
)
def test_growth_is_what_is_beyond_chance(after: Usage, grown: list[str]) -> None:
    assert [name for name, *_ in after.grown(Usage(100.0, 50.0, 20, 14, 8))] == grown


def test_expected_values_of_a_graph() -> None:
    pipeline, expected = layers_and_chains(400)
    assert len(pipeline.nodes) == 400
    assert pipeline.outputs() == set(expected)
    assert set(expected.values()) == {4, 3}  # two layers that double 1, two links that add 1 to it


def test_odd_names_are_all_different() -> None:
    found = odd_names(300)
    assert len({name for name, _ in found}) == len({name for _, name in found}) == len(found)
    assert max(len(name) for name, _ in found) == 300


def test_both_suites_have_a_part_of_the_report(
    failing: Results, loaded: Results, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    for results in (failing, loaded):
        results.write(tmp_path / f"{results.suite}.json")
    sources = [tmp_path / "reliability.json", tmp_path / "load.json"]
    text = write_report(sources, tmp_path / "home").read_text(encoding="utf-8")
    assert report.table(failing) in text
    assert load_report.table(loaded) in text


def test_marks_tell_the_time_and_the_process(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert marks.find(folder, "a") is None
    marks.leave(folder, "a")
    (mark,) = marks.wait_for(folder, ["a", "b"], 1)
    assert mark.pid == os.getpid()
    with pytest.raises(AssertionError, match="1 of"):
        marks.wait_for(folder, ["a", "b"], 2, limit=0.01)


@pytest.mark.parametrize(("suite", "case"), [("reliability", "raises"), ("load", "workers")])
def test_a_small_case_of_each_suite_runs(suite: str, case: str, tmp_path: Path) -> None:
    pytest.importorskip("pyperf")
    pytest.importorskip("matplotlib")
    assert main([suite, "--quick", "--only", case, "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / f"{suite}.json").read_text(encoding="utf-8"))
    assert [one["status"] for one in found["measurements"]] == [OK] * len(found["measurements"])
    assert all(one["figures"] for one in found["measurements"])
