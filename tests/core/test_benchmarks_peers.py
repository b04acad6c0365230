"""The parts of the suite ``peers`` that measure nothing: cases, checks, ratios, report."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.cases import FULL, QUICK, mode_of, select
from benchmarks.peers.report import document, sentences, table
from benchmarks.peers.subjects import PEERS, PRUNNER
from benchmarks.peers.summary import faster_than_prunner, peer_rows
from benchmarks.peers.work import Work
from benchmarks.records import FAILED, LIMIT, OK, SKIPPED, Measurement, Results
from benchmarks.report import write_report
from benchmarks.summary import Spread

COLD, WARM = "trivial-1000-cold", "trivial-1000-warm"


def cold(peer: str, seconds: float, number: int = 1) -> Measurement:
    runs = ((1000, seconds / 2),)
    return Measurement(number, COLD, peer, OK, seconds, 50_000_000, runs=runs)


def warm(peer: str, *seconds: float) -> Measurement:
    return Measurement(1, WARM, peer, OK, 9.0, runs=tuple((1000, each) for each in seconds))


@pytest.fixture
def results() -> Results:
    measurements = [
        *(cold(PRUNNER, seconds, i) for i, seconds in enumerate((9.0, 2.0, 1.0), 1)),
        cold("dask", 4.0),
        Measurement(1, COLD, "kedro parallel", LIMIT, 60.0),
        Measurement(1, COLD, "ray", SKIPPED, 0.0, message="ray is not installed"),
        Measurement(1, COLD, "joblib", FAILED, 1.0, message="Boom."),
        warm(PRUNNER, 0.5, 0.4, 0.9),
        warm("joblib", 0.2, 0.1, 0.3),
        warm("pipefunc", 0.4, 0.4, 0.4),
        warm("dask", 1.0, 1.0, 1.0),
    ]
    cases = {COLD: "many, cold", WARM: "many, warm"}
    return Results("peers", False, 3, 60.0, "today", {"CPU": "abacus"}, cases, measurements)


def test_cold_is_the_whole_process_and_warm_a_later_run(results: Results) -> None:
    found = {row.peer: row for row in peer_rows(results, COLD)}
    assert found[PRUNNER].seconds == Spread(2.0, 1.0, 9.0)
    assert found["dask"].ratio == 2.0
    assert peer_rows(results, WARM)[0].seconds == Spread(0.5, 0.5, 0.5)


def test_what_did_not_end_is_at_least_as_long_as_the_limit(results: Results) -> None:
    found = {row.peer: row for row in peer_rows(results, COLD)}
    assert (found["kedro parallel"].seconds, found["kedro parallel"].ratio) == (None, 30.0)
    assert (found["ray"].ratio, found["joblib"].ratio) == (None, None)
    # Four runs have not ended in 60 seconds: one takes more than 15.
    results.measurements.append(Measurement(1, WARM, "kedro parallel", LIMIT, 60.0))
    assert peer_rows(results, WARM)[-1].over_limit == 15.0


def test_who_is_faster(results: Results) -> None:
    assert faster_than_prunner(peer_rows(results, COLD)) == []
    names = [row.peer for row in faster_than_prunner(peer_rows(results, WARM))]
    assert names == ["joblib", "pipefunc"]


def test_table_shows_what_is_known(results: Results) -> None:
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table(results, COLD).splitlines()
    ]
    lines = {line[0]: line[1:] for line in cells}
    assert lines[PRUNNER] == ["2.00", "1.00 to 9.00", "1.00", "50.0"]
    assert lines["kedro parallel"] == ["> 60", "-", "> 30.0", "-"]
    assert lines["ray"] == ["no figure", "-", "-", "-"]


def test_sentences_say_where_prunner_is_not_the_fastest(results: Results) -> None:
    assert sentences(results) == [
        f"`{COLD}`: prunner is the fastest.",
        f"`{WARM}`: prunner takes 0.50 s and is not the fastest: joblib 0.20 s (prunner takes "
        "2.50 times as long), pipefunc 0.40 s (prunner takes 1.25 times as long).",
        f"kedro parallel in `{COLD}`: ended after 60 s in round 1, not tried again.",
        f"ray in `{COLD}`: skipped, ray is not installed.",
        f"joblib in `{COLD}`: failed in 1 of 1 runs: Boom.",
    ]


def test_no_comparison_without_prunner(results: Results) -> None:
    results.measurements = [warm("dask", 1.0)]
    results.cases = {WARM: "many, warm"}
    assert sentences(results) == [f"`{WARM}`: no figure of prunner."]


def test_report_has_room_for_reasons(results: Results) -> None:
    assert "### Why" not in document(results, [], "")
    text = document(results, ["results/peers.png"], "It does more.")
    assert "### Why prunner is not the fastest, where it is not\n\nIt does more." in text
    assert "### many, cold" in text
    assert "![peers](results/peers.png)" in text
    assert all(f"- {peer.name}: {peer.usage}." in text for peer in PEERS)


def test_report_is_written_with_its_plot(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    source = tmp_path / "source.json"
    results.write(source)
    assert "](results/peers.png)" in write_report([source], tmp_path).read_text(encoding="utf-8")
    assert (tmp_path / "results" / "peers.png").stat().st_size > 0


def test_cases_are_chosen_by_kind_mode_or_name() -> None:
    assert [case.name for case in select(False, ["trivial"])] == [COLD, WARM]
    assert {case.mode for case in select(False, ["warm"])} == {"warm"}
    assert [case.name for case in select(False, ["cpu-40-cold"])] == ["cpu-40-cold"]
    assert select(True, []) == list(QUICK)
    assert all(mode_of(case.name) == case.mode for case in FULL)
    with pytest.raises(ValueError, match="Unknown case: wram"):
        select(False, ["wram"])


def test_results_are_checked() -> None:
    Work("trivial", 3).check([2, 2, 2], 0)
    Work("cpu", 2).check([7, 7], 7)
    Work("array", 8).check([1e6] * 4, 0)
    for work, wrong in [
        (Work("trivial", 3), [2.0, 2.0]),
        (Work("trivial", 3), [2.0, 2.0, 3.0]),
        (Work("array", 8), [1e6] * 5),
    ]:
        with pytest.raises(AssertionError, match="wrong results"):
            work.check(wrong, 0)


def test_peers_are_told_apart() -> None:
    assert PEERS[0].name == PRUNNER and PEERS[0].installed
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    for peer in PEERS:
        module, _, function = peer.start.partition(":")
        source = Path(__file__).parents[2] / "benchmarks" / "peers" / f"{module}.py"
        assert f"def {function}() ->" in source.read_text(encoding="utf-8")
