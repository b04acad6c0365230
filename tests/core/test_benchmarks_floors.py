"""The parts of the suite ``floors`` that measure nothing: points, verdicts, graphs, report."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.floors.child import place_of
from benchmarks.floors.graphs import Graph, random_graph
from benchmarks.floors.plots import draw_all
from benchmarks.floors.points import GROUPS, POINTS, Point, in_unit, select
from benchmarks.floors.records import Floors
from benchmarks.floors.report import document, sentences, table
from benchmarks.floors.samples import Sample
from benchmarks.floors.verdicts import by_group, judge, judge_all
from benchmarks.report import write_report

POINT = Point("p", "p", "dispatch", "a figure", "a limit", "ms", 1.1)


@pytest.fixture
def floors() -> Floors:
    samples = [
        *((1, Sample("warm", 0.02, seconds)) for seconds in (0.03, 0.5)),
        (2, Sample("warm", 0.02, 0.05)),
        (1, Sample("order-known", 3.0, 3.06)),
        (1, Sample("cpu-loky", 1.0, 2.0)),
        (1, Sample("handoff-8-memory", 200e6, 250e6)),
    ]
    probes = ["warm", "order", "cpu", "handoff-8-memory", "info"]
    machine = {"CPU": "abacus"}
    return Floors(False, 2, "today", machine, probes, samples, {"info": "failed: boom"})


def test_results_survive_the_json_file(floors: Floors, tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    floors.write(path)
    assert Floors.read(path) == floors
    assert floors.complete_rounds == 2
    assert [sample.figure for sample in floors.of("order-known")] == [3.06]


def test_the_ratio_is_the_median_of_ratios_of_pairs() -> None:
    # The machine was slow in the second pair; the medians by themselves would give 3.0.
    found = judge(POINT, [Sample("p", 1.0, 3.0), Sample("p", 10.0, 10.0), Sample("p", 1.0, 1.0)])
    assert found is not None
    assert (found.limit.median, found.figure.median) == (1.0, 3.0)
    assert found.ratio.median == 1.0
    assert (found.ratio.low, found.ratio.high) == (1.0, 3.0)


@pytest.mark.parametrize(
    ("figure", "target", "met", "word"),
    [
        (1.1, 1.1, True, "met"),
        (1.11, 1.1, False, "not met"),
        (5.0, None, None, "-"),
    ],
)
def test_targets_are_judged(
    figure: float, target: float | None, met: bool | None, word: str
) -> None:
    point = Point("p", "p", "dispatch", "a figure", "a limit", "ms", target)
    found = judge(point, [Sample("p", 1.0, figure)])
    assert found is not None
    assert (found.met, found.word) == (met, word)


def test_no_verdict_out_of_noise() -> None:
    noise = Sample("p", -0.1, 5.0)
    assert judge(POINT, []) is None
    assert judge(POINT, [noise, Sample("p", 0.0, 1.0)]) is None
    found = judge(POINT, [noise, Sample("p", 2.0, 1.0)])
    assert found is not None
    assert list(found.ratios) == [0.5]


def test_verdicts_are_grouped_in_the_order_of_the_points(floors: Floors) -> None:
    groups = by_group(judge_all(floors))
    assert list(groups) == ["hand-off", "order", "warm runs", "CPU use"]
    assert [verdict.point.name for verdict in groups["CPU use"]] == ["cpu-loky"]


def test_points_are_complete() -> None:
    names = [point.name for point in POINTS]
    assert len(set(names)) == len(names)
    assert {point.group for point in POINTS} == set(GROUPS)
    for point in POINTS:
        module, _, function = place_of(point.probe).partition(":")
        text = Path("benchmarks/floors", f"{module}.py")
        source = Path(__file__).parents[2] / text
        assert f"def {function}(request: Request)" in source.read_text(encoding="utf-8")


def test_a_probe_may_be_told_from_others_with_the_same_beginning() -> None:
    assert place_of("handoff-arrow") == place_of("handoff-array") == "handoff:to_next_node"
    assert place_of("handoff-8-memory") == "peak:of_eight_consumers"


@pytest.mark.parametrize(
    ("only", "probes"),
    [
        ("order-known", ["order"]),
        ("cold-start-cpu,warm", ["cold-start", "warm"]),
        ("dispatch", ["dispatch-1000", "dispatch-10000"]),
        ("handoff-8", ["handoff-8-consumers", "handoff-8-memory"]),
        ("dispatch-1000", ["dispatch-1000"]),
    ],
)
def test_probes_are_chosen_by_point_or_beginning(only: str, probes: list[str]) -> None:
    assert select(only.split(",")) == probes


def test_all_probes_unless_some_are_named() -> None:
    assert set(select([])) == {point.probe for point in POINTS}
    with pytest.raises(ValueError, match=r"Unknown point: wram\. There are: dispatch-1000, "):
        select(["wram"])


def test_an_unknown_point_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyperf")
    pytest.importorskip("matplotlib")
    assert main(["floors", "--only", "wram"]) == 2
    assert "Unknown point: wram" in capsys.readouterr().err


def test_lower_bound() -> None:
    # 0 (2 s) -> 2 (3 s); 1 (4 s)
    graph = Graph([2.0, 4.0, 3.0], [(), (), (0,)])
    assert graph.critical_path == 5.0
    assert graph.lower_bound(1) == 9.0
    assert graph.lower_bound(8) == 5.0
    assert graph.scaled(2).lower_bound(8) == 10.0


def test_random_graphs_are_layered_and_scaled() -> None:
    graphs = [random_graph(seed, 8, 3.0) for seed in range(30)]
    assert random_graph(0, 8, 3.0) == graphs[0] != graphs[1]
    for graph in graphs:
        assert 50 <= len(graph.seconds) == len(graph.parents) <= 500
        assert all(max(parents, default=-1) < i for i, parents in enumerate(graph.parents))
        depths: list[int] = []
        for parents in graph.parents:
            depths.append(max((depths[parent] + 1 for parent in parents), default=0))
        assert depths == sorted(depths) and 2 <= depths[-1] < 15
        assert graph.lower_bound(8) == pytest.approx(3.0)
    # Some are bound by their longest path, some by the number of workers.
    assert len({graph.critical_path > 2.99 for graph in graphs}) == 2


def test_figures_have_units() -> None:
    figures = [in_unit(*pair) for pair in ((85e-6, "us"), (0.1, "ms"), (2.5, "s"), (2e8, "MB"))]
    assert figures == ["85.0 us", "100 ms", "2.50 s", "200 MB"]


def test_table_has_limit_figure_ratio_and_verdict(floors: Floors) -> None:
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table(judge_all(floors)).splitlines()
    ]
    assert cells[0] == ["Point", "Limit", "prunner", "Ratio", "Range", "Target", "Verdict"]
    lines = {line[0]: line[1:] for line in cells[2:]}
    assert lines["warm"] == ["20.0 ms", "50.0 ms", "2.50", "1.50 to 25.0", "1", "not met"]
    assert lines["order-known"] == ["3.00 s", "3.06 s", "1.02", "1.02 to 1.02", "1.05", "met"]
    assert lines["cpu-loky"][-2:] == ["-", "-"]


def test_sentences_name_what_is_missed_or_failed(floors: Floors) -> None:
    assert sentences(floors) == [
        "2 of 3 targets are met.",
        "Not met: `warm` is 2.50 times its limit, 1 is wanted.",
        "Failed: `info` (failed: boom).",
    ]


def test_report_has_all_parts(floors: Floors) -> None:
    text = document(floors, {"order": "results/order.png"})
    assert "abacus" in text
    assert "Measured on today, 2 of 2 round(s)." in text
    for verdict in judge_all(floors):
        assert f"### {GROUPS[verdict.point.group]}" in text
        assert f"- `{verdict.point.name}`: {verdict.point.title}, against" in text
    assert "![order](results/order.png)" in text
    assert "![warm" not in text


def test_each_group_has_a_plot_in_the_report(floors: Floors, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    source = tmp_path / "source.json"
    floors.write(source)
    text = write_report([source], tmp_path).read_text(encoding="utf-8")
    names = [path.name for path in draw_all(floors, tmp_path).values()]
    assert "floors-warm-runs.png" in names
    for name in names:
        assert f"](results/{name})" in text
        assert (tmp_path / "results" / name).stat().st_size > 0


def test_other_suites_stay_in_the_report(floors: Floors, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "results"
    folder.mkdir()
    floors.write(folder / "floors.json")
    assert "## `floors`" in write_report([], tmp_path).read_text(encoding="utf-8")


def test_files_of_unknown_suites_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_text('{"suite": "ceilings"}', encoding="utf-8")
    with pytest.raises(ValueError, match="unknown suite: ceilings"):
        write_report([source], tmp_path)
