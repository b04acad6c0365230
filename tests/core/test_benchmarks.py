"""The parts of the benchmarks that measure nothing: figures, tables, report, command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.__main__ import main
from benchmarks.asking import ask
from benchmarks.cases import FULL, NOTHING, QUICK, WARM, Case, select
from benchmarks.process import run_process
from benchmarks.records import FAILED, LIMIT, Measurement, Results
from benchmarks.report import write_report
from benchmarks.start_methods_report import document
from benchmarks.subjects import all_subjects, parse
from benchmarks.summary import Spread, marginal_cost, rows_of, times_as_long, warm_rows
from benchmarks.tables import case_table, markdown_table, number, sentences

MB = 1_000_000


def trivial(round_: int, subject: str, seconds: float) -> Measurement:
    runs = ((10, seconds / 2),)
    peak = int(50 * seconds) * MB
    return Measurement(round_, "trivial-10", subject, "ok", seconds, peak, runs=runs)


def warm(subject: str, small: float, large: float, nodes: int) -> Measurement:
    runs = ((10, small), (nodes, large), (10, small), (nodes, large))
    return Measurement(1, WARM, subject, "ok", small + large, runs=runs)


@pytest.fixture
def results() -> Results:
    cases = {case: f"what {case} is" for case in (NOTHING, "trivial-10", WARM)}
    measurements = [
        Measurement(1, NOTHING, "sequential", "ok", 1.0, 30 * MB, runs=((1, 0.5),)),
        *(trivial(i, "sequential", seconds) for i, seconds in enumerate((9.0, 1.0, 2.0), 1)),
        *(trivial(i, "prunner fork", seconds) for i, seconds in enumerate((4.0, 3.0, 5.0), 1)),
        Measurement(1, "trivial-10", "kedro fork", LIMIT, 12.0),
        *(trivial(i, "prunner spawn", 4.0) for i in (1, 2)),
        Measurement(3, "trivial-10", "prunner spawn", FAILED, 1.0, message="Boom | bang."),
        *(trivial(i, "kedro spawn", 6.0) for i in (1, 2, 3)),
        warm("prunner fork", 0.5, 1.49, 1000),
        warm("kedro fork", 1.0, 5.5, 100),
        warm("prunner loky", 0.5, 1.49, 1000),
        warm("kedro spawn", 1.0, 2.8, 100),
    ]
    machine = {"CPU": "abacus", "Python": "3"}
    return Results("start-methods", False, 3, 12.0, "today", machine, cases, measurements)


def test_results_survive_the_json_file(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.write(path)
    assert Results.read(path) == results


def test_medians_and_ranges(results: Results) -> None:
    row = rows_of(results, "trivial-10")[0]
    assert row.subject == "sequential"
    assert row.wall == Spread(2.0, 1.0, 9.0)
    assert row.run == Spread(1.0, 0.5, 4.5)
    assert row.per_node == pytest.approx(0.1)
    assert row.extra == pytest.approx(70 * MB)
    assert Spread.of([]) is None


def test_ratios_between_whole_processes(results: Results) -> None:
    rows = {row.subject: row for row in rows_of(results, "trivial-10")}
    assert times_as_long(rows["prunner fork"], rows["sequential"]) == (0.5, False)
    assert times_as_long(rows["prunner fork"], rows["kedro fork"]) == (3.0, True)
    assert times_as_long(rows["kedro fork"], rows["sequential"]) == (None, False)
    assert times_as_long(rows["kedro spawn"], None) == (None, False)


def test_start_up_is_taken_out() -> None:
    runs = [(10, 2.0), (110, 3.0), (10, 1.0), (110, 2.0), (10, 9.0), (110, 2.0)]
    assert marginal_cost(runs) == ((10, 110), 0.0)
    sizes, cost = marginal_cost([(10, 1.0), (110, 3.0)])
    assert sizes == (10, 110)
    assert cost == pytest.approx(0.02)


def test_each_prunner_is_compared_with_its_rival(results: Results) -> None:
    rows = {row.subject: row for row in warm_rows(results)}
    assert rows["prunner fork"].cost.median == pytest.approx(0.001)
    assert rows["prunner fork"].ratio == pytest.approx(50)
    assert rows["prunner loky"].rival == "kedro spawn"
    assert rows["prunner loky"].ratio == pytest.approx(20)
    assert rows["kedro fork"].ratio is None


def test_no_ratio_out_of_noise(results: Results) -> None:
    results.measurements = [warm("prunner fork", 2.0, 1.0, 50), warm("kedro fork", 1.0, 2.0, 50)]
    assert warm_rows(results)[0].ratio is None
    (line,) = sentences(results)
    assert line.endswith("with kedro fork (10 to 50 nodes): too noisy for a ratio.")


def test_table_is_aligned_and_safe() -> None:
    lines = markdown_table(["Name", "n"], [["a|b", "1"], ["c", "1000"]]).splitlines()
    assert lines == [
        "| Name |    n |",
        "| ---- | ---: |",
        "| a\\|b |    1 |",
        "| c    | 1000 |",
    ]
    assert [number(value) for value in (123.4, 12.34, 1.234, -0.5)] == [
        "123",
        "12.3",
        "1.23",
        "-0.50",
    ]


def test_table_shows_what_did_not_end(results: Results) -> None:
    table = case_table(results, "trivial-10")
    fork = next(line for line in table.splitlines() if "| kedro fork" in line)
    assert "> 12" in fork
    assert "> 3.00" in next(line for line in table.splitlines() if "| prunner fork" in line)


def test_one_slow_round_does_not_hide_the_others(results: Results) -> None:
    results.measurements.append(Measurement(4, "trivial-10", "kedro spawn", LIMIT, 12.0))
    row = next(row for row in rows_of(results, "trivial-10") if row.subject == "kedro spawn")
    assert row.wall == Spread(6.0, 6.0, 6.0)
    assert row.over_limit is None
    assert row.trouble == "ended after 12 s in round 4, not tried again"


def test_sentences_come_from_the_numbers(results: Results) -> None:
    text = "\n".join(sentences(results))
    assert "costs 1.00 ms with prunner fork (10 to 1000 nodes) and 50.0 ms with kedro fork" in text
    assert "The smallest of these ratios is" in text
    assert "prunner spawn in trivial-10: failed in 1 of 3 runs: Boom | bang." in text
    assert "kedro fork in trivial-10: ended after 12 s in round 1, not tried again." in text


@pytest.mark.parametrize(("seconds", "word"), [(2.9, "met"), (1.0, "not met")])
def test_the_wanted_ratio_is_judged(results: Results, seconds: float, word: str) -> None:
    results.measurements = [
        warm("prunner fork", 0.5, 1.49, 1000),
        warm("kedro fork", 1.0, 1.0 + seconds, 100),
    ]
    assert sentences(results)[-1].endswith(f"at least 20 is wanted: {word}.")


def test_report_has_all_parts(results: Results) -> None:
    text = document(results, ["results/a.png"])
    assert "abacus" in text
    for case, title in results.cases.items():
        assert f"### {case}: {title}" in text
    assert "![a](results/a.png)" in text


def test_report_is_written_with_plots(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    source = tmp_path / "source.json"
    results.write(source)
    home = tmp_path / "home"
    report = write_report([source], home).read_text(encoding="utf-8")
    files = {path.name for path in (home / "results").iterdir()}
    names = ("memory.png", "per-node.png", "times.png")
    assert files == {"start-methods.json", *(f"start-methods-{name}" for name in names)}
    assert all(f"results/start-methods-{name}" in report for name in names)
    assert Results.read(home / "results" / "start-methods.json") == results


def test_cases_are_chosen_by_name_or_kind() -> None:
    assert select(True, []) == QUICK
    names = [case.name for case in select(False, ["trivial", "warm"])]
    assert names == [NOTHING, "trivial-10", "trivial-100", "trivial-1000", WARM]
    assert [case.name for case in select(False, ["chain-100"])] == [NOTHING, "chain-100"]
    assert len({case.name for case in FULL}) == len(FULL)
    with pytest.raises(ValueError, match="Unknown case: chian"):
        select(False, ["chian"])


def test_a_case_can_be_limited() -> None:
    case = Case("demo", subjects=("sequential",), most_rounds=2)
    assert [case.includes("sequential", number) for number in (1, 2, 3)] == [True, True, False]
    assert not case.includes("thread", 1)


def test_subjects_can_be_told_by_their_names() -> None:
    subjects = all_subjects()
    names = [subject.name for subject in subjects]
    assert [parse(name) for name in names] == list(subjects)
    assert all(subject.rival in names for subject in subjects if subject.runner == "prunner")


def test_suites_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "start-methods" in capsys.readouterr().out


def test_a_process_is_asked_and_answers() -> None:
    # This module of the standard library copies one JSON file into another.
    outcome, answer = ask("json.tool", {"runs": [[10, 0.5]]}, os.environ, limit=60, interval=0.05)
    assert outcome.status == "ok"
    assert answer == {"runs": [[10, 0.5]]}


def test_a_process_that_fails_gives_no_answer() -> None:
    outcome, answer = ask("json.no_tool", {}, os.environ, limit=60, interval=0.05)
    assert outcome.status == FAILED
    assert "no_tool" in outcome.last_line
    assert answer is None


_TREE = """
import subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("line", grandchild.pid, flush=True)
time.sleep({seconds})
sys.exit(3)
"""


@pytest.mark.parametrize(("seconds", "status"), [(60, "limit"), (1, "failed")])
def test_no_process_outlives_its_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, status: str
) -> None:
    monkeypatch.setattr("benchmarks.process._GRACE", 0.1)
    command = [sys.executable, "-c", _TREE.format(seconds=seconds)]
    outcome = run_process(command, os.environ, tmp_path, limit=3, interval=0.05)
    assert outcome.status == status
    assert outcome.peak > MB
    assert outcome.left_behind == (status == "failed")
    word, pid = outcome.last_line.split()
    assert word == "line"
    assert ended(int(pid))


def ended(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        # Nobody may have waited for it yet, which makes it stay in the list of processes.
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        process.wait(timeout=5)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    return True
