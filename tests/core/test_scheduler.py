from __future__ import annotations

import heapq
import statistics
from collections import Counter
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.runner.runner import AbstractRunner

from prunner.planning.decisions import PARENT, GiveUp, Release, Replace, Retry, Start, TakeBack
from prunner.planning.plan import RunPlan, Step
from prunner.planning.policy import NO_POLICY, MemoryPolicy, RunPolicy, StepPolicy
from prunner.planning.ready import ReadyQueue
from prunner.planning.scheduler import Scheduler
from tests.core.invariants import validate


def plan_of(datasets, pinned=(), seconds=None, functions=None):
    """A plan from the inputs and outputs of each step, in topological order."""
    seconds = seconds or {}
    functions = functions or [-1] * len(datasets)
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
        ranks[i] = seconds.get(i, 1) + max((ranks[child] for child in children[i]), default=0)
    return RunPlan(
        steps=tuple(
            Step(
                i,
                f"n{i}",
                tuple(inputs),
                tuple(outputs),
                parents[i],
                children[i],
                ranks[i],
                functions[i],
            )
            for i, (inputs, outputs) in enumerate(datasets)
        ),
        load_counts=Counter(name for inputs, _ in datasets for name in inputs),
        kept_inputs=frozenset(n for i, _ in datasets for n in i if base(n) not in made_by),
        kept_outputs=frozenset(n for _, o in datasets for n in o if base(n) not in loaded),
        in_memory=frozenset(),
        pinned=dict.fromkeys(pinned, "wanted"),
        seconds=seconds,
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
    assert scheduler.step_failed(0) == [GiveUp(0)]
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


def test_the_death_of_a_busy_worker_stops_the_run():
    scheduler = Scheduler(independent(3))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.worker_gone(1) == [GiveUp(1)]
    assert scheduler.failed == {1}
    assert scheduler.step_finished(0) == []
    assert scheduler.finished


def test_the_death_of_an_idle_worker_is_nobodys_fault():
    scheduler = Scheduler(independent(1))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.worker_gone(1) == [Replace(1)]
    assert scheduler.failed == set()
    validate(scheduler)


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
    validate(scheduler)
    assert starts(scheduler.step_finished(0)) == [(1, 0)]
    assert starts(scheduler.step_finished(3)) == [(2, PARENT)]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda s: s.running.update({1: 0}), "a step runs twice"),
        (lambda s: s.done.add(1), "a queued step has started"),
        (lambda s: s._for_parent.push(1, 1.0), "a step is queued twice"),
        (lambda s: s._idle.append(0), "a worker is idle and busy"),
        (lambda s: s._for_workers.push(3, 1.0), "a step came before its parent"),
        (lambda s: s.pinned.add(0), "a step runs in the wrong place"),
        (lambda s: s._needs.loads_left.update(raw=-1), "released too early"),
        (lambda s: s._idle.append(1), "a worker idles though work is ready"),
    ],
)
def test_validate_notices_a_state_that_contradicts_itself(spoil, complaint):
    scheduler = Scheduler(
        plan_of([(["raw"], ["a"]), (["raw"], ["b"]), (["raw"], ["c"]), (["a"], ["d"])])
    )
    scheduler.worker_ready(0)
    validate(scheduler)
    spoil(scheduler)
    with pytest.raises(AssertionError, match=complaint):
        validate(scheduler)


# --- batches ----------------------------------------------------------------------------------


def short(datasets, **kwargs):
    """A plan whose steps took a millisecond each in an earlier run."""
    return plan_of(datasets, seconds=dict.fromkeys(range(len(datasets)), 0.001), **kwargs)


def independent_steps(count):
    return [(["raw"], [f"d{i}"]) for i in range(count)]


def test_steps_of_which_nothing_is_known_are_sent_one_by_one():
    scheduler = Scheduler(independent(40))
    assert starts(scheduler.worker_ready(0)) == [(0, 0)]


def test_short_steps_are_sent_together_and_again_when_half_of_them_are_done():
    scheduler = Scheduler(short(independent_steps(40)))
    assert starts(scheduler.worker_ready(0)) == [(step, 0) for step in range(6)]
    sent = [starts(scheduler.step_finished(step, 0.001)) for step in range(3)]
    assert sent == [[], [], [(6, 0), (7, 0), (8, 0)]]


def test_a_batch_is_smaller_where_many_workers_share_few_steps():
    scheduler = Scheduler(short(independent_steps(12)))
    for worker in range(3):
        scheduler.worker_ready(worker)
    assert [len(scheduler.batches.of(worker)) for worker in range(3)] == [5, 1, 0]


def test_what_a_function_took_lately_tells_how_long_it_takes():
    scheduler = Scheduler(plan_of(independent_steps(40), functions=[7] * 20 + [8] * 20))
    scheduler.worker_ready(0)
    batch = starts(scheduler.step_finished(0, 0.0001))
    assert batch == [(step, 0) for step in range(1, 20)]
    sent = [starts(scheduler.step_finished(step, 0.0001)) for step, _ in batch]
    assert sent[-1] == [(20, 0)], "of its function nothing is known: it comes alone"
    assert sent[:-1] == [[]] * 18
    assert len(starts(scheduler.step_finished(20, 0.0001))) > 1


def test_a_long_step_waits_behind_none_and_none_behind_it():
    plan = plan_of(independent_steps(8), seconds={**dict.fromkeys(range(8), 0.0001), 3: 9.0})
    scheduler = Scheduler(plan)
    assert starts(scheduler.worker_ready(0)) == [(3, 0)]
    assert scheduler.batches.of(0) == ()


def test_after_a_step_that_took_long_its_function_is_not_short_for_a_while():
    scheduler = Scheduler(plan_of(independent_steps(60), functions=[1] * 60))
    scheduler.worker_ready(0)
    assert starts(scheduler.step_finished(0, 0.1)) == [(1, 0)]
    sent = [starts(scheduler.step_finished(step, 0.001)) for step in range(1, 40)]
    assert [len(each) for each in sent[:30]] == [1] * 30
    assert max(map(len, sent)) > 1


def test_a_step_that_took_as_long_as_before_says_nothing_of_others_with_its_function():
    seconds = {**dict.fromkeys(range(40), 0.001), 0: 9.0}
    scheduler = Scheduler(plan_of(independent_steps(40), seconds=seconds, functions=[1] * 39 + [2]))
    assert starts(scheduler.worker_ready(0)) == [(0, 0)]
    assert len(starts(scheduler.step_finished(0, 9.1))) > 1


def test_a_step_that_took_longer_than_before_warns_of_others_with_its_function():
    plan = plan_of(
        independent_steps(40), seconds=dict.fromkeys(range(40), 0.001), functions=[1] * 40
    )
    scheduler = Scheduler(plan)
    batch = starts(scheduler.worker_ready(0))
    sent = [starts(scheduler.step_finished(step, 0.1)) for step, _ in batch]
    assert sent == [[]] * (len(batch) - 1) + [[(len(batch), 0)]]


def test_a_chain_of_short_steps_goes_to_one_worker():
    chain = [(["raw"], ["a"]), (["a"], ["b"]), (["b"], ["c"])]
    scheduler = Scheduler(short(chain))
    assert scheduler.worker_ready(0) == [Start(0, 0), Start(1, 0, (0,)), Start(2, 0, (1,))]
    assert scheduler.worker_ready(1) == []


def test_a_step_with_a_parent_elsewhere_does_not_follow():
    diamond = [(["raw"], ["a"]), (["raw"], ["b"]), (["a", "b"], ["c"])]
    scheduler = Scheduler(short(diamond))
    scheduler.worker_ready(0)
    assert scheduler.batches.of(0) == (), "the other one is for the next worker"
    assert starts(scheduler.worker_ready(1)) == [(1, 1)]
    assert starts(scheduler.step_finished(0, 0.001)) == []
    assert starts(scheduler.step_finished(1, 0.001)) == [(2, 0)]


def test_what_waits_behind_a_slow_step_goes_to_others():
    scheduler = Scheduler(short([(["raw"], ["a"]), (["a"], ["b"]), (["raw"], ["c"])]))
    scheduler.worker_ready(0)
    assert scheduler.batches.of(0) == (1,)
    assert scheduler.worker_overdue(0) == [TakeBack(0)]
    assert scheduler.worker_overdue(0) == [], "once is enough"
    scheduler.steps_returned(0, [1])
    assert starts(scheduler.worker_ready(1)) == [(2, 1)]
    assert starts(scheduler.step_finished(0, 1.0)) == [(1, 0)]


def test_a_failure_takes_back_what_waits_on_other_workers():
    scheduler = Scheduler(short([*independent_steps(12)]))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    behind = scheduler.batches.of(0)
    assert scheduler.batches.workers == [0, 1]
    failed = scheduler.running[1]
    assert scheduler.step_failed(failed) == [GiveUp(failed), TakeBack(0)]
    assert scheduler.steps_returned(0, behind) == []
    assert scheduler.steps_returned(1, [scheduler.running[1]]) == []
    assert scheduler.running == {0: 0}
    assert not scheduler.finished
    assert scheduler.step_finished(0) == []
    assert scheduler.finished


# --- further tries, and what a failure stops ----------------------------------------------------


def retrying(retries, **more):
    return RunPolicy(default=StepPolicy(retries=retries, **more))


def test_a_step_whose_worker_has_died_is_tried_again_on_the_next_one():
    scheduler = Scheduler(independent(1), retrying(1, retry_delay=3.0))
    scheduler.worker_ready(0)
    assert scheduler.worker_gone(0) == [Retry(0, 3.0), Replace(0)]
    assert not scheduler.finished
    assert scheduler.worker_ready(0) == [], "it is not due yet"
    assert scheduler.step_due(0) == [Start(0, 0)]
    assert scheduler.worker_gone(0) == [GiveUp(0)]
    assert scheduler.finished


def test_only_an_exception_after_which_it_may_be_is_a_step_tried_again():
    scheduler = Scheduler(independent(2), retrying(5))
    scheduler.worker_ready(0)
    assert scheduler.step_failed(0, may_retry=True) == [Retry(0, 0.0), Start(1, 0)]
    assert scheduler.step_due(0) == []
    assert scheduler.step_finished(1) == [Start(0, 0)]
    assert scheduler.step_failed(0, may_retry=False) == [GiveUp(0)]


def test_each_delay_is_longer_than_the_one_before():
    scheduler = Scheduler(independent(1), retrying(3, retry_delay=2.0, retry_backoff=3.0))
    scheduler.worker_ready(0)
    delays = []
    for _ in range(3):
        retry: Any = scheduler.step_failed(0, may_retry=True)
        delays.append(retry[0].delay)
        scheduler.step_due(0)
    assert delays == [2.0, 6.0, 18.0]
    assert scheduler.step_failed(0, may_retry=True) == [GiveUp(0)]


def test_a_step_has_rules_of_its_own():
    policy = RunPolicy(steps={1: StepPolicy(retries=1)})
    scheduler = Scheduler(independent(2), policy)
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.worker_gone(1) == [Retry(1, 0.0), Replace(1)]
    assert scheduler.worker_gone(0) == [GiveUp(0)]


def test_a_step_that_was_killed_for_memory_is_tried_once_more_alone_without_any_retries():
    scheduler = Scheduler(independent(3))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    assert scheduler.worker_gone(0, for_memory=True) == [Retry(0, 0.0, alone=True), Replace(0)]
    assert scheduler.step_due(0) == [], "another one runs"
    assert scheduler.worker_ready(0) == []
    assert scheduler.step_finished(1) == [Start(0, 0)]
    assert scheduler.worker_gone(0, for_memory=True) == [GiveUp(0)]


def test_others_go_on_until_a_step_that_is_to_be_alone_is_due():
    scheduler = Scheduler(independent(3), retrying(0, retry_delay=60.0))
    scheduler.worker_ready(0)
    assert scheduler.worker_gone(0, for_memory=True) == [Retry(0, 60.0, alone=True), Replace(0)]
    assert scheduler.worker_ready(0) == [Start(1, 0)]
    assert scheduler.step_due(0) == []
    assert scheduler.step_finished(1) == [Start(0, 0)]


def test_what_follows_a_step_that_was_tried_alone_runs_as_ever():
    scheduler = Scheduler(independent(4))
    scheduler.worker_ready(0)
    scheduler.worker_ready(1)
    scheduler.worker_gone(0, for_memory=True)
    scheduler.step_due(0)
    scheduler.step_finished(1)
    scheduler.worker_ready(0)
    assert starts(scheduler.step_finished(0)) == [(2, 0), (3, 1)]


def test_what_waited_behind_a_step_whose_worker_has_died_goes_elsewhere():
    scheduler = Scheduler(short([*independent_steps(12)]), RunPolicy(keep_going=True))
    scheduler.worker_ready(0)
    waiting = scheduler.batches.of(0)
    decisions = scheduler.worker_gone(0)
    assert decisions == [GiveUp(0), Replace(0)]
    assert set(waiting) < {step for step, _ in starts(scheduler.worker_ready(1))} | set(range(12))
    validate(scheduler)


def test_a_run_that_goes_on_skips_what_depends_on_a_failed_step():
    plan = plan_of([(["raw"], ["a"]), (["a"], ["b"]), (["b"], ["c"]), (["raw"], ["d"])])
    scheduler = Scheduler(plan, RunPolicy(keep_going=True))
    scheduler.worker_ready(0)
    assert scheduler.step_failed(0) == [GiveUp(0, (1, 2)), Start(3, 0)]
    assert scheduler.step_finished(3) == []
    assert scheduler.finished
    assert (scheduler.done, scheduler.failed, scheduler.skipped) == ({3}, {0}, {1, 2})


def test_what_only_skipped_steps_would_load_is_released():
    plan = plan_of([(["raw"], ["a"]), (["raw"], ["b"]), (["a", "b"], ["c"]), (["b"], ["d"])])
    scheduler = Scheduler(plan, RunPolicy(keep_going=True))
    for step in (0, 1):
        scheduler.worker_ready(step)
    scheduler.step_finished(0)
    decisions = scheduler.step_failed(1)
    assert decisions == [GiveUp(1, (2, 3)), Release("a")]
    assert scheduler.finished


# --- order --------------------------------------------------------------------------------------


def test_the_longest_path_in_seconds_comes_first_where_durations_are_known():
    plan = plan_of(
        [(["raw"], ["a"]), (["a"], ["b"]), (["b"], ["c"]), (["raw"], ["d"])],
        seconds={0: 1.0, 1: 1.0, 2: 1.0, 3: 5.0},
    )
    assert Scheduler(plan).worker_ready(0) == [Start(3, 0)]


def test_of_equals_the_one_that_frees_most_memory_comes_first():
    plan = plan_of(
        [
            (["raw"], ["small"]),
            (["raw"], ["large"]),
            (["small"], ["a"]),
            (["large"], ["b"]),
            (["large"], ["c"]),
        ]
    )
    scheduler = Scheduler(plan)
    order = starts(scheduler.worker_ready(0))
    sizes = {0: {"small": 10}, 1: {"large": 1000}}
    while not scheduler.finished:
        step = order[-1][0]
        order += starts(scheduler.step_finished(step, 1.0, sizes.get(step, {})))
    # "large" is free after both of its consumers only: the first of them frees nothing.
    assert [step for step, _ in order] == [0, 1, 2, 3, 4]
    scheduler = Scheduler(plan)
    for worker in range(2):
        scheduler.worker_ready(worker)
    scheduler.pin([])
    scheduler.step_finished(0, 1.0, sizes[0])
    assert starts(scheduler.step_finished(1, 1.0, sizes[1])) == [(3, 1)]
    assert starts(scheduler.step_finished(2, 1.0)) == [(4, 0)]


def test_priorities_that_depend_on_memory_are_found_once_for_each_step(monkeypatch):
    """And once more where a dataset has one consumer left, however many it had."""
    pushed: Counter[int] = Counter()
    push = ReadyQueue.push

    def counted(queue, step, rank, frees=0):
        pushed[step] += 1
        push(queue, step, rank, frees)

    monkeypatch.setattr(ReadyQueue, "push", counted)
    plan = plan_of([(["raw"], ["a"]), *((["a", "raw"], [f"d{i}"]) for i in range(300))])
    scheduler = Scheduler(plan)
    todo = starts(scheduler.worker_ready(0))
    while todo:
        step, _ = todo.pop()
        todo += starts(scheduler.step_finished(step, 1.0, {"a": 1000} if not step else {}))
    assert scheduler.finished
    assert sum(pushed.values()) <= len(plan.steps) + 1


def makespan(plan, seconds, workers):
    """How long a run takes whose steps take so long, and nothing else takes any time."""
    scheduler, now = Scheduler(plan), 0.0
    ends: list[tuple[float, int]] = []
    begun = [each for worker in range(workers) for each in scheduler.worker_ready(worker)]
    while True:
        for step, _ in starts(begun):
            heapq.heappush(ends, (now + seconds[step], step))
        if not ends:
            return now
        now, step = heapq.heappop(ends)
        begun = scheduler.step_finished(step, seconds[step])


def layered(random):
    """A random layered graph of 50 to 500 steps, and durations with a heavy tail."""
    count = random.randint(50, 500)
    layers = sorted(random.randrange(random.randint(3, 12)) for _ in range(count))
    datasets = []
    for i, layer in enumerate(layers):
        above = [f"d{k}" for k in range(i) if layers[k] == layer - 1]
        chosen = random.sample(above, min(len(above), random.randint(1, 3)))
        datasets.append((chosen or ["raw"], [f"d{i}"]))
    return datasets, {i: min(random.paretovariate(1.3), 60.0) for i in range(count)}


@pytest.mark.parametrize(("known", "limit"), [(True, 1.05), (False, 1.15)])
def test_a_run_ends_close_to_its_lower_bound(known, limit):
    random, ratios = Random(4711), []
    for _ in range(50):
        datasets, seconds = layered(random)
        exact = plan_of(datasets, seconds=seconds)
        bound = max(sum(seconds.values()) / 8, max(step.rank for step in exact.steps))
        ratios.append(makespan(exact if known else plan_of(datasets), seconds, 8) / bound)
    assert statistics.median(ratios) <= limit


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
    indices = st.integers(0, max(0, len(datasets) - 1))
    pinned = draw(st.sets(indices, max_size=len(datasets)))
    seconds = draw(st.dictionaries(indices, st.sampled_from([0.0, 0.0005, 0.002, 1.0])))
    functions = [draw(st.integers(0, 2)) for _ in datasets]
    return plan_of(datasets, pinned if draw(st.booleans()) else (), seconds, functions)


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
        policy: The rules for steps that fail.
    """

    def __init__(self, plan, workers, random, accidents=(), policy=NO_POLICY):
        self.plan = plan
        self.policy = policy
        self.scheduler = Scheduler(plan, policy)
        self.random = random
        self.accidents = accidents
        self.coming = set(range(workers))
        self.alive = set(range(workers))
        self.running = {}
        self.behind: dict[int, list[int]] = {worker: [] for worker in range(workers)}
        self.asked_back = set()
        self.done = []
        self.failed = []
        self.skipped = set()
        self.waiting = set()
        self.deaths_left = 10
        self.tries: Counter[int] = Counter()
        self.alone = None
        self.to_be_alone = set()
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
            validate(self.scheduler)
            assert self.scheduler.running == self.running
            assert {w: list(self.scheduler.batches.of(w)) for w in self.behind} == self.behind
            assert self.scheduler.done == set(self.done)
            ended = len(self.done) + len(self.failed) + len(self.skipped)
            over = self.stopped or ended == len(self.plan.steps)
            assert self.scheduler.finished == (over and not self.running)
        return self

    def possible_events(self):
        if self.scheduler.finished:
            return []
        usual = [("ready", worker) for worker in sorted(self.coming)]
        # One that is to give back what has not begun and has failed says so first.
        usual += [("finish", worker) for worker in sorted(self.running)]
        usual += [("give_back", worker) for worker in sorted(self.asked_back)]
        usual += [("due", step) for step in sorted(self.waiting)]
        accidents = []
        if "fail" in self.accidents:
            accidents += [("fail", worker) for worker in sorted(self.running)]
        if "die" in self.accidents and self.deaths_left:
            accidents += [("die", worker) for worker in sorted(self.alive)]
        if "pin" in self.accidents and usual:
            accidents.append(("pin", None))
        if "memory" in self.accidents and usual:
            accidents.append(("memory", None))
        if "overdue" in self.accidents:
            accidents += [("overdue", worker) for worker in sorted(self.alive - self.coming)]
        return usual * 3 + accidents

    def memory(self, _):
        """Somebody looks at memory, and something is known of a step."""
        self.scheduler.admission.learn(
            self.random.randrange(len(self.plan.steps)), self.random.randrange(1000)
        )
        used = {worker: self.random.randrange(500) for worker in sorted(self.alive)}
        self.follow(self.scheduler.memory_seen(self.random.randrange(1000), 1000, used))

    def ready(self, worker):
        self.coming.remove(worker)
        decisions = self.scheduler.worker_ready(worker)
        assert releases(decisions) == []
        self.follow(decisions)

    def end_of_step(self, worker):
        step = self.running.pop(worker)
        if self.behind.get(worker):
            self.running[worker] = self.behind[worker].pop(0)
        return step

    def finish(self, worker):
        step = self.end_of_step(worker)
        self.done.append(step)
        seconds = self.random.choice([None, 0.0001, 0.0001, 0.001, 1.0])
        decisions = self.scheduler.step_finished(step, seconds, {f"d{step}_0": step})
        if not self.failed:  # Kedro has no run that goes on
            assert releases(decisions) == self._oracle.after(step)
        self.alone = None if self.alone == step else self.alone
        self.released += releases(decisions)
        self.follow(decisions)

    def fail(self, worker):
        step = self.end_of_step(worker)
        may_retry = self.random.random() < 0.5
        decisions = self.scheduler.step_failed(step, may_retry=may_retry)
        self.note_failure(step, decisions, may_retry)
        self.follow(decisions)
        if worker != PARENT:
            self.give_back(worker)

    def due(self, step):
        self.waiting.remove(step)
        self.follow(self.scheduler.step_due(step))

    def note_failure(self, step, decisions, may_retry):
        """A step is tried as often as its rules say, and then given up with what depends on it."""
        self.tries[step] += 1
        self.alone = None if self.alone == step else self.alone
        outcome = decisions[0]
        if isinstance(outcome, Retry):
            assert not self.stopped
            assert outcome.alone or (may_retry and self.tries[step] <= self.policy.of(step).retries)
            self.waiting.add(step)
            return
        assert isinstance(outcome, GiveUp)
        self.failed.append(step)
        self.skipped |= set(outcome.skipped)
        self.stopped |= not self.policy.keep_going
        assert self.skipped.isdisjoint(self.done)
        self.released += releases(decisions)

    def overdue(self, worker):
        self.follow(self.scheduler.worker_overdue(worker))

    def give_back(self, worker):
        """The step at the head may not have begun yet."""
        self.asked_back.discard(worker)
        returned, self.behind[worker] = self.behind[worker], []
        head = self.running.get(worker)
        # A worker never begins what was to follow a step that has failed there.
        cannot_begin = head is not None and not self.plan.steps[head].parents <= set(self.done)
        if head is not None and (cannot_begin or self.random.random() < 0.3):
            returned = [self.running.pop(worker), *returned]
        if self.alone in returned:
            self.to_be_alone.add(self.alone)
            self.alone = None
        self.follow(self.scheduler.steps_returned(worker, returned))

    def die(self, worker):
        self.deaths_left -= 1
        step = self.running.pop(worker, None)
        decisions = self.scheduler.worker_gone(worker, for_memory=self.random.random() < 0.3)
        self.alive.remove(worker)
        self.behind[worker] = []
        self.coming.discard(worker)
        self.asked_back.discard(worker)
        if step is not None:
            self.note_failure(step, decisions, may_retry=True)
        if Replace(worker) in decisions:
            self.alive.add(worker)
            self.coming.add(worker)
        else:
            assert self.scheduler.finished or self.stopped
        self.follow(decisions)

    def pin(self, _):
        waiting = [
            step.index
            for step in self.plan.steps
            if step.index not in {*self.done, *self.failed, *self.placed(), *self.waiting}
        ]
        chosen = self.random.sample(waiting, self.random.randint(0, len(waiting)))
        self.pinned.update(chosen)
        self.to_be_alone -= set(chosen)
        self.scheduler.pin(chosen)

    def placed(self):
        return [*self.running.values(), *(step for steps in self.behind.values() for step in steps)]

    def follow(self, decisions):
        for decision in decisions:
            match decision:
                case TakeBack(worker):
                    assert self.behind[worker]
                    self.asked_back.add(worker)
                case Start(step, worker, after):
                    self.start(step, worker, after)
                case Retry(step, alone=True):
                    self.to_be_alone.add(step)

    def start(self, step, worker, after):
        assert not self.stopped
        assert self.alone is None, "it is to be alone"
        if step in self.to_be_alone:
            assert not self.running
            self.to_be_alone.remove(step)
            self.alone = step
        assert step not in self.waiting | self.skipped
        before = [self.running[worker], *self.behind[worker]] if after else []
        assert set(after) <= set(before)
        assert self.plan.steps[step].parents == set(after) | (
            self.plan.steps[step].parents & set(self.done)
        )
        assert step not in {*self.done, *self.failed, *self.placed()}
        assert (worker == PARENT) == (step in self.pinned)
        assert worker == PARENT or worker in self.alive - self.coming
        if worker in self.running:
            assert worker not in self.asked_back
            self.behind[worker].append(step)
        else:
            self.running[worker] = step


policies = st.builds(
    RunPolicy,
    keep_going=st.booleans(),
    default=st.builds(StepPolicy, retries=st.integers(0, 2)),
    memory=st.builds(
        MemoryPolicy,
        mode=st.sampled_from(["hold", "log", "off"]),
        limit=st.sampled_from([None, 700, 0.5]),
    ),
)


def workers_for(plan):
    free = len(plan.steps) - len(plan.pinned)
    return st.integers(1, 5) if free else st.integers(0, 5)


randoms = st.randoms(use_true_random=False)


@given(plans(), randoms, st.data())
def test_everything_runs_exactly_once_in_the_order_of_dependencies(plan, random, data):
    accidents = ["pin", "overdue", "memory"]
    world = World(plan, data.draw(workers_for(plan)), random, accidents).run()
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
    accidents = ["fail", "die", "die", "pin", "overdue", "memory"]
    policy = data.draw(policies)
    world = World(plan, data.draw(workers_for(plan)), random, accidents, policy).run()
    assert world.scheduler.finished
    assert world.scheduler.failed == set(world.failed)
    assert world.scheduler.stopping == world.stopped
    assert world.scheduler.skipped == world.skipped
    ended = [*world.done, *world.failed, *world.skipped]
    assert len(ended) == len(set(ended))
    if not world.stopped:
        assert len(ended) == len(plan.steps)
    # Nothing that a step which may still run would load is gone.
    left = {n for s in plan.steps if s.index not in ended for n in s.inputs}
    assert not left & set(world.released)
