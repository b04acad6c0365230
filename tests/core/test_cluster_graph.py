"""The tasks of a run, computed by Dask in this process with a stand-in for what they run."""

from __future__ import annotations

import pickle

from dask.local import get_sync
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner.bridge.data import INLINE_LIMIT
from prunner.bridge.packing import pack
from prunner.bridge.refs import DataRef
from prunner.cluster import graph as graphs
from prunner.cluster.graph import CLIENT, Graph
from prunner.cluster.messages import StepPart
from prunner.cluster.parcel import Parcel
from prunner.planning.plan import RunPlan
from prunner.planning.policy import RunPolicy, StepPolicy
from prunner.processes.book import datasets_of, write_book

TOKEN = "0abc123"


def f(*_):
    return None


def graph_of(made, policy=None, pinned=(), catalog=None):
    if catalog is None:
        catalog = DataCatalog({})
    for name in made.datasets():
        if name not in catalog:
            catalog[name] = MemoryDataset()
    book, _ = write_book(made, catalog)
    plan = RunPlan.from_pipeline(made, book.in_memory, dict.fromkeys(pinned, "it is"))
    uses = {i: tuple(datasets_of(each)) for i, each in enumerate(made.nodes)}
    labels = {i: "f" for i in range(len(made.nodes))}
    graph = Graph(plan, book, labels, TOKEN, policy or RunPolicy(), uses, {})
    return plan, graph


def run_step(token, packed, *values):
    """Hands on, for each dataset, what was got for the inputs."""
    assert token == TOKEN
    part = StepPart(*pickle.loads(packed))
    got = {
        name: value if at is None else value[at]
        for (name, at), value in zip(part.inputs, values, strict=False)
    }
    got |= {name: f"literal {name}" for name in part.literals}
    made = tuple((name, tuple(sorted(got.items()))) for name in part.outputs)
    return made[0] if len(made) == 1 else made or None


def compute(batch, keys, monkeypatch_target=graphs):
    tasks = {}
    for key, task in batch.tasks.items():
        tasks[key] = (run_step, *task[2:]) if task[1] is graphs._RUN else task
    return dict(zip(keys, get_sync(tasks, list(keys)), strict=True))


@st.composite
def pipelines(draw):
    nodes = []
    names = ["x"]
    for i in range(draw(st.integers(1, 8))):
        inputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        outputs = [f"d{i}_{j}" for j in range(draw(st.integers(1, 3)))]
        nodes.append(node(f, inputs, outputs, name=f"n{i}"))
        names += outputs
    return pipeline(nodes)


@given(pipelines())
def test_each_step_gets_what_it_loads_and_nothing_else(made):
    plan, graph = graph_of(made)
    refs = {"x": DataRef(None, b"packed", 6)}
    batch = graph.batch(range(len(plan.steps)), refs, {}, ())
    kept = {name: graph.places[name] for name in plan.kept_outputs}
    found = compute(batch, {place.key for place in kept.values()})
    for name, (key, position) in kept.items():
        value = found[key] if position is None else found[key][position]
        own, got = value
        maker = next(step for step in plan.steps if name in step.outputs)
        assert own == name
        assert {each for each, _ in got} == set(maker.inputs)
        for each, data in got:
            assert data == f"literal {each}" if each == "x" else data[0] == each


@given(pipelines())
def test_the_client_waits_for_what_it_keeps_and_for_the_ends(made):
    plan, graph = graph_of(made)
    batch = graph.batch(range(len(plan.steps)), {}, {}, ())
    assert all(wanting == {CLIENT} for wanting in batch.wanted.values())
    ends = {graph.step_of(key) for key in batch.wanted}
    assert {step.index for step in plan.steps if not step.children} <= ends
    assert {graph.places[name].key for name in plan.kept_outputs} <= batch.wanted.keys()


def test_data_in_the_middle_is_wanted_by_tasks_alone():
    _, graph = graph_of(pipeline([node(f, "x", "a", name="1"), node(f, "a", "b", name="2")]))
    batch = graph.batch((0, 1), {}, {}, ())
    assert list(batch.wanted) == [graph.places["b"].key]


def test_who_waits_for_a_file_only_does_not_get_the_data():
    """The second node loads what the first one has written, not what it holds in memory."""
    made = pipeline(
        [
            node(f, "x", ["big", "file@save"], name="1"),
            node(f, "file@load", "b", name="2"),
            node(f, "big", "c", name="3"),
        ]
    )
    plan, graph = graph_of(made)
    index = {step.name: step.index for step in plan.steps}
    batch = graph.batch(range(3), {}, {}, ())
    key = next(k for k in batch.tasks if graph.step_of(k) == index["2"] and len(k) == 2)
    values = batch.tasks[key][4:]
    assert graph.places["big"].key not in values
    assert [value[2] for value in values if len(value) > 2] == ["end"]


def test_outputs_for_the_same_steps_stay_together_and_others_are_taken_apart():
    made = pipeline(
        [
            node(f, "x", ["a", "b"], name="1"),
            node(f, ["a", "b"], ["c", "d"], name="2"),
            node(f, "c", "e", name="3"),
            node(f, "d", "g", name="4"),
        ]
    )
    _, graph = graph_of(made)
    graph.batch(range(4), {}, {}, ())
    assert graph.places["a"].key == graph.places["b"].key
    assert graph.places["c"].key != graph.places["d"].key
    assert graph.places["c"].position is None


def test_large_data_of_the_client_goes_out_once_and_small_data_with_each_step():
    made = pipeline([node(f, ["x", "y"], "a", name="1"), node(f, ["x", "y"], "b", name="2")])
    _, graph = graph_of(made)
    parts, size = pack(bytes(2 * INLINE_LIMIT))
    refs = {"x": DataRef(None, b"".join(parts), size), "y": DataRef(None, b"small", 5)}
    batch = graph.batch((0, 1), refs, {}, ())
    assert [key for key in batch.tasks if graph.step_of(key) is None] == [(f"data-{TOKEN}", "x")]
    for key in batch.tasks:
        if graph.step_of(key) is not None:
            part = StepPart(*pickle.loads(batch.tasks[key][3]))
            assert set(part.literals) == {"y"}
            assert part.inputs == (("x", None),)
    found = get_sync(batch.tasks, [(f"data-{TOKEN}", "x")])
    assert isinstance(found[0], Parcel)
    assert found[0].open() == bytes(2 * INLINE_LIMIT)


def test_a_later_batch_uses_what_dask_keeps_of_an_earlier_one():
    made = pipeline([node(f, "x", "a", name="1"), node(f, ["a", "x"], "b", name="2")])
    _, graph = graph_of(made)
    first = graph.batch((0,), {}, {}, ())
    key = graph.places["a"].key
    assert first.wanted == {key: {1}}
    second = graph.batch((1,), {}, {key: "its future"}, (0,))
    (task,) = second.tasks.values()
    assert "its future" in task


def test_priorities_are_ranks_and_resources_are_those_of_the_policy():
    made = pipeline([node(f, "x", "a", name="1"), node(f, "a", "b", name="2")])
    policy = RunPolicy(steps={1: StepPolicy(resources={"GPU": 1.0})})
    plan, graph = graph_of(made, policy)
    batch = graph.batch((0, 1), {}, {}, ())
    by_step = {graph.step_of(key): rank for key, rank in batch.priorities.items()}
    assert by_step == {0: plan.steps[0].rank, 1: plan.steps[1].rank}
    assert {graph.step_of(k): dict(r) for k, r in batch.resources.items()} == {1: {"GPU": 1.0}}


def test_tasks_name_what_they_run_as_text():
    """The scheduler reads them, and need not have prunner, Kedro or the project."""
    _, graph = graph_of(pipeline([node(f, "x", "a", name="1")]))
    batch = graph.batch((0,), {"x": DataRef(None, b"1", 1)}, {}, ())
    pickled = pickle.dumps(batch.tasks)
    modules = {b"toolz", b"pkgutil"}
    assert all(module in pickled for module in modules)
    part = batch.tasks[next(iter(batch.tasks))][3]
    assert b"prunner" not in pickled.replace(part, b"").replace(
        b"prunner.cluster.steps:run_step", b""
    )


def test_other_keys_belong_to_no_step():
    _, graph = graph_of(pipeline([node(f, "x", "a", name="1")]))
    assert graph.step_of("a") is None
    assert graph.step_of(("other-0", 1)) is None
    assert graph.step_of((f"f-{TOKEN}", 1)) == 1
