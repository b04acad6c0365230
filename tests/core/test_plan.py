from __future__ import annotations

from collections import Counter

from hypothesis import given
from kedro.pipeline import Pipeline, node

from prunner.planning.plan import RunPlan
from tests.pipelines import pipelines
from tests.random_nodes import join, one, two


def plan_of(*nodes, in_memory=(), pinned=()):
    """A plan in which steps are pinned by the names of their nodes."""
    pipeline = Pipeline(list(nodes))
    indices = [i for i, each in enumerate(pipeline.nodes) if each.name in pinned]
    return RunPlan.from_pipeline(pipeline, in_memory, dict.fromkeys(indices, "wanted"))


def step_of(plan, name):
    return next(step for step in plan.steps if step.name == name)


def names_of(plan, indices):
    return {plan.steps[index].name for index in indices}


def chain(number, length=2):
    return [
        node(one, f"c{number}_{i}", f"c{number}_{i + 1}", name=f"n{number}_{i}")
        for i in range(length)
    ]


def test_a_step_waits_for_those_that_make_its_inputs():
    plan = plan_of(
        node(one, "raw", "a", name="first"),
        node(one, "raw", "b", name="second"),
        node(join, ["a", "b"], "c", name="last"),
    )
    assert names_of(plan, step_of(plan, "last").parents) == {"first", "second"}
    assert names_of(plan, step_of(plan, "first").children) == {"last"}
    assert step_of(plan, "first").parents == frozenset()
    assert step_of(plan, "last").children == ()


def test_a_transcoded_dataset_makes_a_dependency():
    plan = plan_of(
        node(one, "raw", "table@save", name="writer"),
        node(one, "table@load", "out", name="reader"),
    )
    assert names_of(plan, step_of(plan, "reader").parents) == {"writer"}
    assert plan.kept_inputs == {"raw"}
    assert plan.kept_outputs == {"out"}
    assert plan.load_counts == {"raw": 1, "table@load": 1}


def test_an_input_that_a_node_takes_twice_is_loaded_twice():
    plan = plan_of(
        node(join, ["a", "a"], "b", name="doubles"), node(join, ["a", "b"], "c", name="joins")
    )
    assert plan.load_counts == {"a": 3, "b": 1}
    assert step_of(plan, "doubles").inputs == ("a", "a")


def test_free_inputs_and_final_outputs_are_kept():
    plan = plan_of(
        node(two, ["raw", "params:x"], ["a", "b"], name="first"),
        node(one, "a", "c", name="second"),
    )
    assert plan.kept_inputs == {"raw", "params:x"}
    assert plan.kept_outputs == {"b", "c"}


def test_rank_is_the_number_of_steps_to_the_end_of_the_longest_path():
    plan = plan_of(
        *chain(0, length=4),
        node(one, "c0_0", "side", name="leaf"),
        node(join, ["c0_1", "c0_4"], "end", name="join"),
    )
    ranks = {step.name: step.rank for step in plan.steps}
    assert ranks == {"n0_0": 5, "n0_1": 4, "n0_2": 3, "n0_3": 2, "join": 1, "leaf": 1}


def test_what_the_caller_says_is_kept_and_copied():
    pinned = {0: "it holds a lock"}
    pipeline = Pipeline([node(one, "a", "b", name="n")])
    plan = RunPlan.from_pipeline(pipeline, ["a", "b"], pinned)
    pinned.clear()
    assert plan.pinned == {0: "it holds a lock"}
    assert plan.in_memory == {"a", "b"}


def test_ten_chains_of_two_need_ten_workers_not_nineteen():
    plan = plan_of(*(each for number in range(10) for each in chain(number)))
    assert plan.workers_needed(19) == 10
    assert plan.workers_needed(4) == 4


def test_a_chain_needs_one_worker():
    assert plan_of(*chain(0, length=12)).workers_needed(8) == 1


def test_pinned_steps_need_no_worker():
    nodes = [each for number in range(3) for each in chain(number)]
    assert plan_of(*nodes, pinned={each.name for each in nodes}).workers_needed(8) == 0
    assert plan_of(*nodes, pinned={"n0_0", "n0_1"}).workers_needed(8) == 2


def test_an_empty_pipeline_has_an_empty_plan():
    plan = plan_of()
    assert plan.steps == ()
    assert plan.workers_needed(8) == 0


@given(pipelines())
def test_a_plan_says_of_any_pipeline_what_kedro_says(case):
    pipeline = case.pipeline()
    nodes = pipeline.nodes
    plan = RunPlan.from_pipeline(pipeline, [], {})
    assert [step.name for step in plan.steps] == [each.name for each in nodes]
    assert [step.index for step in plan.steps] == list(range(len(nodes)))
    for step, each in zip(plan.steps, nodes, strict=True):
        parents = {parent.name for parent in pipeline.node_dependencies[each]}
        assert names_of(plan, step.parents) == parents
        assert all(parent < step.index for parent in step.parents)
        assert all(step.index in plan.steps[child].parents for child in step.children)
        assert sorted(step.children) == [s.index for s in plan.steps if step.index in s.parents]
        assert step.rank == 1 + max((plan.steps[c].rank for c in step.children), default=0)
    assert plan.load_counts == Counter(name for each in nodes for name in each.inputs)
    assert plan.kept_inputs == pipeline.inputs()
    assert plan.kept_outputs == pipeline.outputs()
