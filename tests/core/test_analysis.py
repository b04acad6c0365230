"""Where the time of a run went, and the advice that follows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunner.report.advice import AT_LEAST, NOTHING, WORTHWHILE, advice, candidates
from prunner.report.analysis import analyse, spans_of
from prunner.report.figures import duration, shorten, size
from prunner.report.phases import segments, shares
from prunner.report.schedule import Job, longest_path, makespan, smallest_enough
from prunner.sessions.records import (
    MemorySample,
    NodeRecord,
    Outcome,
    RunRecord,
    Transfer,
    Try,
)
from tests.sample_records import failed_run, sample_run

CLOSE = 1e-6  # clocks of records have a resolution, too


@st.composite
def runs(draw):
    return sample_run(
        draw(st.integers(0, 30)), draw(st.integers(1, 6)), draw(st.integers(0, 10**6))
    )


def ran(step: int, began: float, ended: float, worker: int = 0, **more: Any) -> NodeRecord:
    defaults: dict[str, Any] = {
        "name": f"n{step}",
        "outcome": Outcome.COMPLETED,
        "queued": began,
        "run_seconds": ended - began,
    }
    return NodeRecord(step=step, worker=worker, started=began, ended=ended, **defaults | more)


def run_of(*nodes: NodeRecord, seconds: float, cpus: int = 2, **more: Any) -> RunRecord:
    outcome = more.pop("outcome", Outcome.COMPLETED)
    return RunRecord(
        key="k", run_id="k", outcome=outcome, ended=seconds, cpus=cpus, nodes=nodes, **more
    )


def advised(*nodes: NodeRecord, **more: Any) -> str:
    run = run_of(*nodes, **more)
    return advice(run, analyse(run))


@given(runs())
def test_the_critical_path_is_a_chain_and_no_longer_than_the_run(run):
    found = analyse(run)
    nodes = {node.step: node for node in run.nodes}
    for before, after in pairwise(found.critical_path):
        assert before in nodes[after].parents
    assert found.critical_seconds <= found.seconds + CLOSE
    assert found.critical_seconds <= found.ideal + CLOSE <= found.work + 2 * CLOSE
    assert bool(found.critical_path) == bool(run.nodes)
    assert found.critical_seconds + CLOSE >= max(
        (job.seconds for job in found.jobs.values()), default=0
    )


@given(runs())
def test_no_more_workers_are_enough_than_there_were(run):
    found = analyse(run)
    assert min(found.workers, 1) <= found.enough <= found.workers <= len(run.pids)
    assert max((level for _, level in found.busy), default=0) <= found.workers


@given(runs(), st.randoms(use_true_random=False))
def test_the_order_of_nodes_does_not_matter(run, chance):
    nodes = list(run.nodes)
    chance.shuffle(nodes)
    other = replace(run, nodes=tuple(nodes))
    assert analyse(other) == analyse(run)
    assert advice(other, analyse(other)) == advice(run, analyse(run))


@given(runs())
def test_the_level_of_busy_workers_adds_up_to_their_work(run):
    busy = analyse(run).busy
    pairs = pairwise(busy)
    area = sum(level * (end - began) for (began, level), (end, _) in pairs)
    spans = [span for span in spans_of(run) if span.worker >= 0]
    assert area == pytest.approx(sum(span.ended - span.began for span in spans), abs=1e-4)
    assert not busy or busy[-1][1] == 0


@given(runs())
def test_phases_add_up_and_lie_within_their_node_one_after_the_other(run):
    for node in run.nodes:
        assert node.started is not None and node.ended is not None
        assert sum(shares(node).values()) == pytest.approx(node.seconds)
        now = node.started
        for part in segments(node):
            assert part.seconds >= 0
            assert part.began >= now - CLOSE
            now = part.began + part.seconds
        assert now <= node.ended + CLOSE


@given(runs())
def test_advice_never_promises_more_than_the_run_took(run):
    found = analyse(run)
    for each in candidates(run, found):
        assert each.saving == 0.0 or each.saving >= max(AT_LEAST, WORTHWHILE * found.seconds)
        assert each.saving <= found.seconds
        assert "\n" not in each.text and each.text.endswith(".")


graphs = st.lists(
    st.tuples(st.floats(0, 10), st.lists(st.integers(0, 30), max_size=3), st.booleans()),
    max_size=20,
)


@given(graphs, st.integers(1, 5))
def test_list_scheduling_keeps_its_bounds(graph, workers):
    jobs = {
        step: Job(seconds, tuple({one % step for one in above} if step else ()), pinned)
        for step, (seconds, above, pinned) in enumerate(graph)
    }
    path = sum(jobs[step].seconds for step in longest_path(jobs))
    free = sum(job.seconds for job in jobs.values() if not job.pinned)
    work = sum(job.seconds for job in jobs.values())
    took = makespan(jobs, workers)
    assert max(path, free / workers, work - free) <= took + CLOSE
    assert took <= work + CLOSE
    assert makespan(jobs, len(jobs) or 1) <= work - free + path + CLOSE
    enough = smallest_enough(jobs, workers, 0.0)
    assert makespan(jobs, enough) <= took + CLOSE


def test_the_longest_way_goes_first():
    jobs = {0: Job(1), 1: Job(1), 2: Job(1), 3: Job(5, (2,))}
    assert makespan(jobs, 2) == 6  # 2 has to start at once
    assert makespan(jobs, 1) == 8
    assert longest_path(jobs) == [2, 3]


def test_what_is_measured_in_excess_is_scaled_down():
    node = ran(0, 0, 2, loads=(Transfer("a", 0, 3),), run_seconds=1)
    assert shares(node) == {"load": 1.5, "run": 0.5, "save": 0.0, "other": 0.0}
    assert [(part.began, part.seconds) for part in segments(node)] == [(0, 1.5), (1.5, 0.5)]


def test_a_run_without_nodes_has_zeros():
    found = analyse(run_of(seconds=3))
    assert (found.seconds, found.workers, found.enough, found.use) == (3, 0, 0, None)
    assert found.critical_path == () and found.costliest == ()
    assert "nothing is on record" in advised(seconds=3)


def test_a_run_without_an_end_lasts_up_to_the_last_sign_of_it():
    run = replace(run_of(ran(0, 1, 4), seconds=9), ended=None)
    assert analyse(run).seconds == 4
    begun = replace(ran(1, 5, 6), ended=None)
    assert analyse(replace(run, nodes=(*run.nodes, begun))).seconds == 5


def test_a_worker_that_took_the_place_of_a_dead_one_is_not_a_second_one():
    failed = Try(0, 0, 2, "WorkerDied")
    found = analyse(run_of(ran(0, 2, 4, worker=1, tries=(failed,)), seconds=4, pids={0: 7, 1: 8}))
    assert found.workers == 1  # one, and then the other
    there = (ran(0, 0, 1), ran(1, 3, 4, worker=1))
    assert analyse(run_of(*there, seconds=4)).workers == 2  # though not busy at once
    assert analyse(run_of(*there, seconds=4, pids={0: 7, 1: 8, 2: 9})).workers == 3
    assert found.costliest[0].seconds == 4


def test_ten_nodes_cost_most():
    found = analyse(sample_run(40, 4))
    seconds = [each.seconds for each in found.costliest]
    assert len(seconds) == 10
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] == max(job.seconds for job in found.jobs.values())


def test_no_advice_where_nothing_stands_out():
    assert advised(ran(0, 0, 10), ran(1, 0, 10, worker=1), seconds=10) == NOTHING


def test_no_advice_on_a_run_that_did_not_complete():
    run = failed_run()
    assert advice(run, analyse(run)).startswith("There is no advice: the run did not complete")


def test_no_advice_where_the_clock_was_set_back():
    """A share of no time is none."""
    nodes = [ran(0, 0, 10), ran(1, 10, 11)]
    for seconds in (0, -5):
        assert advised(*nodes, seconds=seconds).startswith(
            "There is no advice: the run ended before"
        )


def test_fewer_workers_would_do():
    nodes = [ran(0, 0, 10), ran(1, 0, 10, worker=1), ran(2, 0, 1, worker=2), ran(3, 0, 1, worker=3)]
    # One node each was put beside a long one, and could wait for none.
    after = ran(4, 1, 9, worker=2, parents=(2,))
    said = advised(*nodes, after, seconds=10, cpus=4)
    assert said == "3 workers would have been enough: the 4 were busy 75 % of the time."


def test_one_node_takes_most_of_the_run():
    nodes = (ran(0, 0, 1), ran(1, 1, 11, parents=(0,), name="train"))
    said = advised(*nodes, seconds=12, cpus=4)
    assert said.startswith("One node, 'train', took 83 % of the run (10 s) and nothing ran beside")
    assert "save up to 5.0 s" in said
    elsewhere = replace(nodes[1], host="lemon")
    said = advised(nodes[0], elsewhere, seconds=12, cpus=1, hosts={0: "lemon"})
    assert said.startswith("One node, 'train' on host lemon, took 83 % of the run (10 s) and")


def test_one_node_is_not_alone_if_another_one_runs_beside_it():
    beside = ran(2, 1, 11, worker=1, parents=(0,))
    assert advised(ran(0, 0, 1), ran(1, 1, 11, parents=(0,)), beside, seconds=11.5) == NOTHING


def test_one_node_among_others_is_no_news_though_it_is_alone():
    nodes = [ran(0, 0, 4), ran(1, 4, 7, parents=(0,)), ran(2, 7, 10, parents=(1,))]
    assert advised(*nodes, seconds=10.2, cpus=4) == NOTHING


def test_a_dataset_takes_long_to_save():
    saves = (Transfer("features", 2, 6, 60_000_000),)
    said = advised(
        ran(0, 0, 8, run_seconds=2, saves=saves),
        ran(1, 0, 8, worker=1, run_seconds=1, saves=(Transfer("features@b", 1, 6),)),
        ran(2, 8, 9, parents=(0, 1)),
        seconds=9.5,
    )
    assert said == NOTHING  # each alone saves nothing, since the other one takes as long
    said = advised(ran(0, 0, 8, run_seconds=2, saves=saves), ran(1, 0, 3, worker=1), seconds=8.5)
    assert said.startswith(
        "55 % of the time of all nodes went into saving 'features' (6.0 s, 60 MB at"
    )
    assert "would save up to 5.0 s of 8.5 s" in said  # the other node takes 3 of them


def test_a_dataset_takes_long_to_load():
    node = ran(0, 0, 8, run_seconds=2, loads=(Transfer("raw", 0, 6),))
    said = advised(node, ran(1, 0, 3, worker=1), seconds=8.5)
    assert "into loading 'raw' (6.0 s): a faster format" in said


def test_more_workers_would_help_only_if_there_are_cpus():
    nodes = [ran(step, 5 * step, 5 * step + 5, queued=0) for step in range(4)]
    said = advised(*nodes, seconds=20, cpus=8)
    assert said.startswith("4 workers instead of 1 would save up to 15 s of 20 s")
    assert "8 CPUs" in said
    # Those of other hosts nobody has counted.
    elsewhere = advised(*nodes, seconds=20, cpus=8, hosts={0: "lemon"})
    assert elsewhere == NOTHING
    assert advised(*nodes, seconds=20, cpus=1) == NOTHING


def test_nodes_in_the_main_process_hold_up_the_run():
    why = "it is tagged 'prunner.main'"
    nodes = [ran(step, 5 * step, 5 * step + 5, -1, pinned=why, queued=0) for step in range(3)]
    said = advised(*nodes, ran(3, 0, 5), ran(4, 0, 1, worker=1), seconds=15.2)
    assert said == (
        "Node 'n0' and 2 other nodes had to run in the main process (it is tagged 'prunner.main'): "
        "in workers, the run would take up to 4.0 s less."
    )


def test_failed_tries_cost_time():
    failed = (Try(0, 0, 6, "ValueError: no"),)
    said = advised(ran(0, 6, 8, tries=failed), ran(1, 0, 5, worker=1), seconds=8.2)
    assert said.startswith("1 try that failed took 6.0 s, most of it for 'n0' (ValueError: no)")
    assert "up to 3.0 s less" in said


def test_a_node_waits_for_memory_while_a_worker_is_idle():
    big = ran(1, 10, 15, worker=1, queued=0, peak_memory=9_000_000_000)
    seen = tuple(MemorySample(at, 2_000_000_000, {}) for at in range(10))
    nodes = (ran(0, 0, 5), ran(2, 5, 10, parents=(0,)), big)
    said = advised(*nodes, seconds=15, memory=seen)
    assert said.startswith(
        "Node 'n1' was ready for 10 s while a worker had nothing to do: it needs"
    )
    assert "9.0 GB" in said and "2.0 GB were free" in said
    occupied = ran(3, 0, 10, worker=1)
    assert "was ready" not in advised(*nodes, occupied, seconds=20, memory=seen)
    plenty = tuple(replace(one, free=10_000_000_000) for one in seen)
    assert "was ready" not in advised(*nodes, seconds=15, memory=plenty)


def test_short_nodes_do_not_pay_for_workers():
    nodes = [ran(step, 2 + step / 100, 2.01 + step / 100, step % 2) for step in range(10)]
    said = advised(*nodes, seconds=3)
    assert said.startswith("The nodes are so short (10 ms on average) that workers do not pay")
    assert "up to 2.9 s" in said


def test_the_advice_that_saves_most_is_given():
    failed = (Try(0, 0, 1, "ValueError: no"),)
    node = ran(0, 1, 12, tries=failed, run_seconds=1, saves=(Transfer("big", 2, 10),))
    run = run_of(node, ran(1, 0, 1, worker=1), seconds=12.5)
    found = analyse(run)
    texts = sorted(candidates(run, found), key=lambda one: -one.saving)
    assert len(texts) >= 2
    assert advice(run, found) == texts[0].text
    assert "into saving 'big'" in texts[0].text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (0.0042, "4.2 ms"),
        (0.0123, "12 ms"),
        (0.9996, "1.0 s"),
        (9.96, "10 s"),
        (125, "2 min 05 s"),
        (7200, "2 h 00 min"),
    ],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "unknown"), (820, "820 bytes"), (1_200_000_000, "1.2 GB"), (999_600, "1.0 MB")],
)
def test_sizes_are_short(number, text):
    assert size(number) == text


@given(st.text(), st.integers(2, 80))
def test_shortened_names_fit_in_a_line(name, limit):
    line = shorten(name, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
