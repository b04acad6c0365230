"""What goes out to a cluster when: pure, on random plans."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.pipeline import node, pipeline

from prunner.cluster.state import ClusterState, Submit
from prunner.planning.decisions import PARENT, GiveUp, Release, Start
from prunner.planning.plan import RunPlan


def nothing(*_):
    return None


def plan_of(parents, pinned=()):
    """A plan with one output for each node, loaded by its children."""
    nodes = [
        node(nothing, [f"d{p}" for p in above] or "x", f"d{i}", name=f"n{i:03}")
        for i, above in enumerate(parents)
    ]
    made = pipeline(nodes)
    index = {each.name: i for i, each in enumerate(made.nodes)}
    names = {f"d{i}" for i in range(len(parents))} | {"x"}
    return RunPlan.from_pipeline(made, names, {index[f"n{i:03}"]: "it is" for i in pinned})


@st.composite
def plans(draw):
    count = draw(st.integers(1, 12))
    parents = [
        draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set() for i in range(count)
    ]
    return plan_of(parents, draw(st.sets(st.integers(0, count - 1))))


class Cluster:
    """Runs what goes out, in any order that the dependencies allow."""

    def __init__(self, state, seed, failing=()):
        self.state = state
        self.random = random.Random(seed)
        self.failing = failing
        self.out: list[int] = []
        self.here: list[int] = []
        self.released: list[str] = []
        self.ran: list[int] = []
        self.may_run: list[int] = []  # what had begun when a step failed

    def follow(self, decisions):
        for each in decisions:
            match each:
                case Submit(steps):
                    for step in steps:
                        known = self.state.submitted | self.state.done
                        assert self.state.plan.steps[step].parents <= known
                        assert step not in self.out + self.ran
                        self.out.append(step)
                case Start(step, worker):
                    assert worker == PARENT
                    assert not self.here, "two steps at once in the main process"
                    assert self.state.plan.steps[step].parents <= self.state.done
                    self.here.append(step)
                case Release(name):
                    self.released.append(name)

    def run(self):
        self.follow(self.state.begin())
        while not self.state.finished:
            ready = [s for s in self.out if self.state.plan.steps[s].parents <= self.state.done]
            if self.state.stopping:
                ready = []
            step = self.random.choice(sorted(ready + self.here))
            worker = PARENT if step in self.here else self.random.randrange(3)
            (self.here if step in self.here else self.out).remove(step)
            self.ran.append(step)
            if worker != PARENT:
                self.state.step_began(worker, step)
            if step in self.failing:
                self.may_run = [*self.ran, *self.here]
                self.follow(self.state.step_failed(step))
            else:
                self.follow(self.state.step_finished(step))


@given(plans(), st.integers())
def test_every_step_runs_once_behind_its_parents(plan, seed):
    cluster = Cluster(ClusterState(plan), seed)
    cluster.run()
    assert sorted(cluster.ran) == list(range(len(plan.steps)))
    assert cluster.state.done == set(cluster.ran)
    assert not cluster.state.running


@given(plans(), st.integers())
def test_each_dataset_is_released_once_unless_somebody_keeps_it(plan, seed):
    cluster = Cluster(ClusterState(plan), seed)
    cluster.run()
    inner = {n for s in plan.steps for n in (*s.inputs, *s.outputs)}
    assert sorted(cluster.released) == sorted(inner - plan.kept_inputs - plan.kept_outputs)


@given(plans(), st.integers(), st.data())
def test_where_a_run_goes_on_only_what_depends_on_a_failed_step_is_left_out(plan, seed, data):
    failing = data.draw(st.sets(st.sampled_from(range(len(plan.steps))), max_size=2))
    cluster = Cluster(ClusterState(plan, keep_going=True), seed, failing)
    cluster.run()
    state = cluster.state
    below: set[int] = set()
    for step in plan.steps:  # in topological order
        if step.parents & (below | failing):
            below.add(step.index)
    assert state.skipped == below
    assert state.failed == failing - below
    assert state.done == set(range(len(plan.steps))) - below - failing


@given(plans(), st.integers(), st.data())
def test_where_a_run_stops_nothing_goes_out_after_a_failure(plan, seed, data):
    failing = data.draw(st.sets(st.sampled_from(range(len(plan.steps))), min_size=1, max_size=1))
    cluster = Cluster(ClusterState(plan), seed, failing)
    cluster.run()
    assert cluster.state.failed == failing
    assert sorted(cluster.ran) == sorted(cluster.may_run)


def test_what_does_not_wait_for_the_main_process_goes_out_at_once():
    # 0 -> 1 (pinned) -> 2, and 3 -> 4
    state = ClusterState(plan_of([set(), {0}, {1}, set(), {3}], pinned=[1]))
    (out,) = state.begin()
    assert isinstance(out, Submit)
    names = {state.plan.steps[s].name for s in out.steps}
    assert names == {"n000", "n003", "n004"}
    first = next(s.index for s in state.plan.steps if s.name == "n000")
    start = next(d for d in state.step_finished(first) if isinstance(d, Start))
    assert state.plan.steps[start.step].name == "n001"
    decisions = state.step_finished(start.step)
    (later,) = [d for d in decisions if isinstance(d, Submit)]
    assert [state.plan.steps[s].name for s in later.steps] == ["n002"]


def test_what_is_made_again_changes_nothing():
    state = ClusterState(plan_of([set(), {0}]))
    state.begin()
    state.step_began(0, 0)
    assert state.step_finished(0) == []
    state.step_began(1, 0)
    assert state.running == {1: 0}
    assert state.step_finished(0) == []
    assert state.done == {0}
    assert not state.running


def test_a_step_that_begins_anew_does_not_run_on_its_dead_worker():
    state = ClusterState(plan_of([set()]))
    state.begin()
    state.step_began(0, 0)
    state.step_began(5, 0)
    assert state.running == {5: 0}


def test_a_step_that_will_be_tried_again_waits():
    state = ClusterState(plan_of([set()]))
    state.begin()
    state.step_began(0, 0)
    state.step_retried(0)
    assert state.waiting == {0}
    assert not state.running
    state.step_began(1, 0)
    assert not state.waiting


def test_consumers_of_what_cannot_leave_the_main_process_stay_there():
    state = ClusterState(plan_of([set(), {0}], pinned=[0]))
    (start,) = state.begin()
    assert start == Start(0, PARENT)
    state.pin([1])
    decisions = state.step_finished(0)
    assert Start(1, PARENT) in decisions
    assert not any(isinstance(d, Submit) for d in decisions)


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_failed_step_is_told_with_what_it_leaves_out(keep_going):
    state = ClusterState(plan_of([set(), {0}, {1}]), keep_going)
    state.begin()
    state.step_began(0, 0)
    (given_up,) = state.step_failed(0)
    assert given_up == GiveUp(0, (1, 2))
    assert state.finished


def test_what_nobody_has_told_of_above_a_step_that_dask_has_done():
    state = ClusterState(plan_of([set(), {0}, {1}, set()]))
    state.begin()
    steps = {step.name: step.index for step in state.plan.steps}
    last = steps["n002"]
    assert state.unheard_above(last) == sorted(steps[name] for name in ("n000", "n001", "n002"))
    state.step_finished(steps["n000"])
    assert state.unheard_above(last) == sorted(steps[name] for name in ("n001", "n002"))
    for step in state.unheard_above(last):
        state.step_finished(step)
    assert state.unheard_above(last) == []
