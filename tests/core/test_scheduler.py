from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.runner.runner import AbstractRunner

from prunner.planning.plan import RunPlan, Step
from prunner.planning.scheduler import PARENT, Release, Scheduler, Start


def plan_of(datasets, pinned=()):
    """A plan from the inputs and outputs of each step, in topological order."""
    made_by = {base(name): i for i, (_, outputs) in enumerate(datasets) for name in outputs}
    loaded = {base(name) for inputs, _ in datasets for name in inputs}
    parents = [
        frozenset(made_by[base(name)] for name in inputs if base(name) in made_by)
        for inputs, _ in datasets
    ]
    ranks = [0] * len(datasets)
    children = [
        tuple(j for j, above in enumerate(parents) if i in above) for i in range(len(ranks))
    ]
    for i in reversed(range(len(ranks))):
        ranks[i] = 1 + max((ranks[child] for child in children[i]), default=0)
    return RunPlan(
        steps=tuple(
            Step(i, f"n{i}", tuple(inputs), tuple(outputs), parents[i], children[i], ranks[i])
            for i, (inputs, outputs) in enumerate(datasets)
        ),
        load_counts=Counter(name for inputs, _ in datasets for name in inputs),
        kept_inputs=frozenset(n for i, _ in datasets for n in i if base(n) not in made_by),
        kept_outputs=frozenset(n for _, o in datasets for n in o if base(n) not in loaded),
        in_memory=frozenset(),
        pinned=dict.fromkeys(pinned, "wanted"),
    )


def base(name):
    return name.partition("@")[0]


def independent(count, **kwargs):
    return plan_of([(["raw"], [f"d{i}"]) for i in range(count)], **kwargs)


def starts(decisions):
    return [(each.step, each.worker) for each in decisions if isinstance(each, Start)]


def releases(decisions):
    return [each.dataset for each in decisions if isinstance(each, Release)]


# --- small examples ---------------------------------------------------------------------------


def test_nothing_starts_before_a_worker_is_ready():
    scheduler = Scheduler(independent(2))
    assert not scheduler.finished
    assert scheduler.worker_ready(0) == [Start(0, 0)]
    assert scheduler.worker_ready(1) == [Start(1, 1)]


def test_a_pinned_step_waits_for_the_first_worker_too():
    scheduler = Scheduler(independent(2, pinned=[0]))
    assert starts(scheduler.worker_ready(0)) == [(0, PARENT), (1, 0)]


def test_where_all_steps_are_pinned_the_run_begins_at_once():
    scheduler = Scheduler(independent(2, pinned=[0, 1]))
    assert scheduler.begin() == [Start(0, PARENT)]
    assert scheduler.step_finished(0) == [Start(1, PARENT)]
    assert scheduler.step_finished(1) == []
    assert scheduler.finished


def test_an_empty_plan_is_finished_at_once():
    assert Scheduler(plan_of([])).finished


def test_the_longest_path_comes_first():
    plan = plan_of(
        [
            (["raw"], ["a"]),  # leads nowhere
            (["raw"], ["b"]),  # leads to c and d
            (["b"], ["c"]),
            (["c"], ["d"]),
            (["raw"], ["e"]),  # leads to f
            (["e"], ["f"]),
        ]
    )
    scheduler = Scheduler(plan)
    order = starts(scheduler.worker_ready(0))
    while not scheduler.finished:
        order += starts(scheduler.step_finished(order[-1][0]))
    assert [step for step, _ in order] == [1, 2, 4, 0, 3, 5]


def test_equals_start_in_topological_order_on_the_worker_with_the_smallest_number():
    scheduler = Scheduler(independent(5))
    scheduler.worker_ready(2)
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.running == {2: 0, 0: 1, 1: 2}
    assert starts(scheduler.step_finished(2)) == [(3, 1)]
    assert starts(scheduler.step_finished(0)) == [(4, 2)]


def test_a_step_starts_when_its_last_parent_is_done():
    scheduler = Scheduler(plan_of([(["raw"], ["a"]), (["raw"], ["b"]), (["a", "b"], ["c"])]))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert starts(scheduler.step_finished(1)) == []
    assert starts(scheduler.step_finished(0)) == [(2, 0)]


def test_a_dataset_is_released_after_its_last_load_and_not_before():
    scheduler = Scheduler(plan_of([(["raw"], ["a"]), (["a"], ["b"]), (["a", "a"], ["c"])]))
    scheduler.worker_ready(0)
    assert releases(scheduler.step_finished(0)) == []
    assert releases(scheduler.step_finished(1)) == []
    assert releases(scheduler.step_finished(2)) == ["a"]


def test_inputs_and_outputs_of_the_pipeline_are_not_released():
    scheduler = Scheduler(plan_of([(["raw"], ["a"])]))
    scheduler.worker_ready(0)
    assert scheduler.step_finished(0) == []


def test_a_dataset_that_is_loaded_under_another_name_is_released_when_it_is_saved():
    scheduler = Scheduler(plan_of([(["raw"], ["a@save"]), (["a@load"], ["b"])]))
    scheduler.worker_ready(0)
    assert scheduler.step_finished(0) == [Release("a@save"), Start(1, 0)]
    assert scheduler.step_finished(1) == [Release("a@load")]


def test_a_dataset_is_released_before_the_next_step_starts():
    scheduler = Scheduler(plan_of([(["raw"], ["a"]), (["a"], ["b"]), (["b"], ["c"])]))
    scheduler.worker_ready(0)
    scheduler.step_finished(0)
    assert scheduler.step_finished(1) == [Release("a"), Start(2, 0)]


def test_after_a_failure_running_steps_end_and_nothing_starts():
    scheduler = Scheduler(independent(4))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.step_failed(0) == []
    assert (scheduler.running, scheduler.finished) == ({1: 1}, False)
    assert scheduler.worker_ready(2) == []
    assert scheduler.step_finished(1) == []
    assert scheduler.finished
    assert (scheduler.done, scheduler.failed) == ({1}, {0})


def test_stop_starts_nothing_more():
    scheduler = Scheduler(independent(2))
    scheduler.worker_ready(0)
    assert scheduler.stop() == []
    assert (scheduler.running, scheduler.finished) == ({0: 0}, False)
    assert scheduler.step_finished(0) == []
    assert scheduler.finished


def test_the_death_of_a_busy_worker_returns_its_step_and_stops_the_run():
    scheduler = Scheduler(independent(3))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.worker_gone(1) == 1
    assert scheduler.failed == {1}
    assert scheduler.step_finished(0) == []
    assert scheduler.finished


def test_the_death_of_an_idle_worker_is_nobodys_fault():
    scheduler = Scheduler(independent(1))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.worker_gone(1) is None
    assert scheduler.failed == set()
    scheduler.validate()


def test_steps_that_turn_out_to_need_the_parent_run_there():
    scheduler = Scheduler(plan_of([(["raw"], ["a"]), (["a"], ["b"]), (["a"], ["c"])], pinned=[0]))
    scheduler.worker_ready(0)
    scheduler.pin([1, 2])
    assert starts(scheduler.step_finished(0)) == [(1, PARENT)]
    assert 1 in scheduler.pinned
    assert starts(scheduler.step_finished(1)) == [(2, PARENT)]


def test_a_queued_step_moves_to_the_parent_in_its_order():
    scheduler = Scheduler(independent(4, pinned=[3]))
    scheduler.worker_ready(0)
    assert scheduler.running == {PARENT: 3, 0: 0}
    scheduler.pin([2])
    scheduler.validate()
    assert starts(scheduler.step_finished(0)) == [(1, 0)]
    assert starts(scheduler.step_finished(3)) == [(2, PARENT)]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda s: s.running.update({1: 0}), "a step runs twice"),
        (lambda s: s.done.add(1), "a queued step has started"),
        (lambda s: s._for_workers.append((-1, 1)), "a step is queued twice"),
        (lambda s: s._idle.append(0), "a worker is idle and busy"),
        (lambda s: s._for_workers.append((-1, 3)), "a step came before its parent"),
        (lambda s: s.pinned.add(0), "a step runs in the wrong place"),
        (lambda s: s._loads_left.update(raw=-1), "released too early"),
        (lambda s: s._idle.append(1), "a worker idles though work is ready"),
    ],
)
def test_validate_notices_a_state_that_contradicts_itself(spoil, complaint):
    scheduler = Scheduler(
        plan_of([(["raw"], ["a"]), (["raw"], ["b"]), (["raw"], ["c"]), (["a"], ["d"])])
    )
    scheduler.worker_ready(0)
    scheduler.validate()
    spoil(scheduler)
    with pytest.raises(AssertionError, match=complaint):
        scheduler.validate()


# --- random graphs in a random world -----------------------------------------------------------


@st.composite
def plans(draw, max_steps=10):
    available = ["raw", "params:p"]
    datasets = []
    for i in range(draw(st.integers(0, max_steps))):
        inputs = draw(st.lists(st.sampled_from(available), max_size=4))
        names = [f"d{i}_{k}" for k in range(draw(st.integers(0, 2)))]
        transcoded = draw(st.booleans()) and draw(st.booleans())
        datasets.append((inputs, [f"{name}@save" if transcoded else name for name in names]))
        for name in names:
            available += [f"{name}@one", f"{name}@two"] if transcoded else [name]
    pinned = draw(st.sets(st.integers(0, max(0, len(datasets) - 1)), max_size=len(datasets)))
    return plan_of(datasets, pinned if draw(st.booleans()) else ())


class KedrosReleases:
    """What Kedro itself would release after a step, asked of Kedro's own code."""

    def __init__(self, plan):
        self._plan = plan
        self._counts = Counter(name for step in plan.steps for name in step.inputs)
        self._released: list[str] = []

    def release(self, name):
        self._released.append(name)

    def after(self, step):
        self._released = []
        as_node: Any = self._plan.steps[step]
        as_catalog: Any = self
        as_pipeline: Any = SimpleNamespace(
            inputs=lambda: self._plan.kept_inputs, outputs=lambda: self._plan.kept_outputs
        )
        AbstractRunner._release_datasets(as_node, as_catalog, self._counts, as_pipeline)
        return self._released


class World:
    """Workers and a parent that do what the scheduler decides, in random order.

    Args:
        plan: What is to be done.
        workers: Number of workers, none of which is ready at first.
        random: Chooses the next event.
        accidents: The kinds of events beside the usual ones.
    """

    def __init__(self, plan, workers, random, accidents=()):
        self.plan = plan
        self.scheduler = Scheduler(plan)
        self.random = random
        self.accidents = accidents
        self.coming = set(range(workers))
        self.alive = set(range(workers))
        self.running = {}
        self.done = []
        self.failed = []
        self.pinned = set(plan.pinned)
        self.released = []
        self.stopped = False
        self._oracle = KedrosReleases(plan)
        if not workers:
            self.follow(self.scheduler.begin())

    def run(self):
        while events := self.possible_events():
            kind, subject = self.random.choice(events)
            getattr(self, kind)(subject)
            self.scheduler.validate()
            assert self.scheduler.running == self.running
            assert self.scheduler.done == set(self.done)
            over = self.stopped or len(self.done) == len(self.plan.steps)
            assert self.scheduler.finished == (over and not self.running)
        return self

    def possible_events(self):
        if self.scheduler.finished:
            return []
        usual = [("ready", worker) for worker in sorted(self.coming)]
        usual += [("finish", worker) for worker in sorted(self.running)]
        accidents = []
        if "fail" in self.accidents:
            accidents += [("fail", worker) for worker in sorted(self.running)]
        if "die" in self.accidents:
            accidents += [("die", worker) for worker in sorted(self.alive)]
        if "pin" in self.accidents and usual:
            accidents.append(("pin", None))
        return usual * 3 + accidents

    def ready(self, worker):
        self.coming.remove(worker)
        decisions = self.scheduler.worker_ready(worker)
        assert releases(decisions) == []
        self.follow(decisions)

    def finish(self, worker):
        step = self.running.pop(worker)
        self.done.append(step)
        decisions = self.scheduler.step_finished(step)
        assert releases(decisions) == self._oracle.after(step)
        self.released += releases(decisions)
        self.follow(decisions)

    def fail(self, worker):
        step = self.running.pop(worker)
        self.failed.append(step)
        self.stopped = True
        self.follow(self.scheduler.step_failed(step))

    def die(self, worker):
        step = self.running.pop(worker, None)
        assert self.scheduler.worker_gone(worker) == step
        self.failed += [step] if step is not None else []
        self.alive.remove(worker)
        self.coming.discard(worker)
        self.stopped = True

    def pin(self, _):
        started = {*self.done, *self.failed, *self.running.values()}
        waiting = [step.index for step in self.plan.steps if step.index not in started]
        chosen = self.random.sample(waiting, self.random.randint(0, len(waiting)))
        self.pinned.update(chosen)
        self.scheduler.pin(chosen)

    def follow(self, decisions):
        for step, worker in starts(decisions):
            assert not self.stopped
            assert self.plan.steps[step].parents <= set(self.done)
            assert step not in {*self.done, *self.failed, *self.running.values()}
            assert worker not in self.running
            assert (worker == PARENT) == (step in self.pinned)
            assert worker == PARENT or worker in self.alive - self.coming
            self.running[worker] = step


def workers_for(plan):
    free = len(plan.steps) - len(plan.pinned)
    return st.integers(1, 5) if free else st.integers(0, 5)


randoms = st.randoms(use_true_random=False)


@given(plans(), randoms, st.data())
def test_everything_runs_exactly_once_in_the_order_of_dependencies(plan, random, data):
    world = World(plan, data.draw(workers_for(plan)), random, accidents=["pin"]).run()
    assert world.scheduler.finished
    assert sorted(world.done) == list(range(len(plan.steps)))
    for step in plan.steps:
        position = world.done.index(step.index)
        assert all(world.done.index(parent) < position for parent in step.parents)


@given(plans(), randoms, st.data())
def test_each_dataset_between_steps_is_released_once_and_after_its_last_load(plan, random, data):
    world = World(plan, data.draw(workers_for(plan)), random).run()
    every = {name for step in plan.steps for name in (*step.inputs, *step.outputs)}
    assert Counter(world.released) == Counter(every - plan.kept_inputs - plan.kept_outputs)


@given(plans(), randoms, st.data())
def test_whatever_happens_the_run_ends_in_order(plan, random, data):
    accidents = ["fail", "die", "pin"]
    world = World(plan, data.draw(workers_for(plan)), random, accidents).run()
    assert world.scheduler.finished
    assert world.scheduler.failed == set(world.failed)
    assert world.scheduler.stopping == world.stopped
    if not world.stopped:
        assert len(world.done) == len(plan.steps)
    # Nothing that a step which has not run would load is gone.
    left = {n for s in plan.steps if s.index not in world.done for n in s.inputs}
    assert not left & set(world.released)
