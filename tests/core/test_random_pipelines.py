from __future__ import annotations

import glob
import logging
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DatasetError
from kedro.runner import SequentialRunner

from prunner import WorkerDied
from tests.core.fake_pool import FakeRunner
from tests.pipelines import pipelines
from tests.random_nodes import Handle, number

# Hypothesis may take minutes to make a failing pipeline small.
pytestmark = pytest.mark.timeout(400)

EMPTY = "<no data>"


class Recorder:
    """Writes down every hook call and the data that came with it."""

    def __init__(self):
        self.calls = []

    @hook_impl
    def before_node_run(self, node, inputs):
        self.calls.append(("before_node_run", node.name, plain(inputs)))

    @hook_impl
    def after_node_run(self, node):
        self.calls.append(("after_node_run", node.name))

    @hook_impl
    def on_node_error(self, error, node, inputs):
        self.calls.append(("on_node_error", node.name, str(error), plain(inputs)))

    @hook_impl
    def before_dataset_loaded(self, dataset_name, node):
        self.calls.append(("before_dataset_loaded", node.name, dataset_name))

    @hook_impl
    def after_dataset_loaded(self, dataset_name, data, node):
        self.calls.append(("after_dataset_loaded", node.name, dataset_name, plain(data)))

    @hook_impl
    def before_dataset_saved(self, dataset_name, data, node):
        self.calls.append(("before_dataset_saved", node.name, dataset_name, plain(data)))

    @hook_impl
    def after_dataset_saved(self, dataset_name, data, node):
        self.calls.append(("after_dataset_saved", node.name, dataset_name, plain(data)))


def plain(value):
    if isinstance(value, dict):
        return tuple((key, plain(each)) for key, each in sorted(value.items()))
    return (type(value).__name__, number(value))


def run(runner, case, hooks=()):
    """What a run leaves behind: its outputs, all datasets of the catalog, and its error."""
    manager = _create_hook_manager()
    for each in hooks:
        manager.register(each)
    with tempfile.TemporaryDirectory() as folder:
        catalog = case.catalog(Path(folder))
        try:
            outputs = runner.run(case.pipeline(), catalog, manager)
            loaded, error = {name: value_of(each) for name, each in outputs.items()}, None
        except Exception as caught:
            loaded, error = {}, caught
        left = {name: value_of(catalog.get(name)) for name in sorted(case.pipeline().datasets())}
    return loaded, left, error


def value_of(dataset):
    try:
        return plain(dataset.load())
    except DatasetError:
        return EMPTY


def by_node(calls):
    return {name: [call for call in calls if call[1] == name] for name in {c[1] for c in calls}}


cases = pipelines()
seeds = st.integers(0, 2**16).map(Random)
workers = st.integers(1, 4)


@given(cases, workers, seeds)
@settings(max_examples=200)
def test_any_pipeline_has_the_outcome_of_the_sequential_runner(case, count, random):
    runner = FakeRunner(count, random)
    assert run(runner, case) == run(SequentialRunner(), case)
    assert sorted(runner.done) == list(range(len(case.nodes)))
    assert sorted(runner.ran_there) == sorted(set(runner.done) - runner.pinned)


@given(pipelines(max_nodes=5), workers, seeds)
@settings(max_examples=60)
def test_hooks_fire_as_under_the_sequential_runner(case, count, random):
    expected, recorder = Recorder(), Recorder()
    assert run(FakeRunner(count, random), case, [recorder]) == run(
        SequentialRunner(), case, [expected]
    )
    assert by_node(recorder.calls) == by_node(expected.calls)


@given(cases, workers, seeds)
@settings(max_examples=60)
def test_loading_and_saving_in_threads_changes_nothing(case, count, random):
    if any(each.function == "chunks" for each in case.nodes):
        return  # Kedro refuses generators there
    runner = FakeRunner(count, random, is_async=True)
    assert run(runner, case) == run(SequentialRunner(is_async=True), case)


@given(pipelines(may_fail=True).filter(lambda case: case.failing()), workers, seeds)
@settings(max_examples=100)
def test_the_error_of_a_node_is_that_of_the_sequential_runner(case, count, random):
    runner, recorder, expected = FakeRunner(count, random), Recorder(), Recorder()
    _, left, error = run(runner, case, [recorder])
    _, _, original = run(SequentialRunner(), case, [expected])
    assert_same_error(error, original)
    nodes = case.pipeline().nodes
    done = {nodes[step].name for step in runner.done}
    failed = next(each for each in nodes if each.name == case.failing().name)
    assert failed.name not in done
    assert {each.name for each in case.pipeline().to_nodes(failed.name).nodes} <= done | {
        failed.name
    }
    assert Counter(c for c in recorder.calls if c[0] == "on_node_error") == Counter(
        c for c in expected.calls if c[0] == "on_node_error"
    )
    assert_is_what_done_nodes_leave(case, left, done)


def assert_same_error(error, original):
    assert type(error) is type(original)
    assert str(error) == str(original)


def assert_is_what_done_nodes_leave(case, left, done):
    """Kedro would leave the same had exactly these nodes run."""
    pipeline = case.pipeline()
    with tempfile.TemporaryDirectory() as folder:
        catalog = case.catalog(Path(folder))
        counts = Counter(name for each in pipeline.nodes for name in each.inputs)
        for each in pipeline.nodes:
            if each.name in done:
                SequentialRunner().run(pipeline.only_nodes(each.name), catalog)
                SequentialRunner._release_datasets(each, catalog, counts, pipeline)
        for name, value in left.items():
            assert value == value_of(catalog.get(name, fallback_to_runtime_pattern=True)), name


@given(cases, workers, seeds, st.data())
@settings(max_examples=60)
def test_the_death_of_a_worker_names_the_node_that_ran_there(case, count, random, data):
    step = data.draw(st.integers(0, len(case.nodes) - 1))
    runner = FakeRunner(count, random, dies_at=step)
    _, _, error = run(runner, case)
    name = case.pipeline().nodes[step].name
    if step in runner.pinned:
        assert error is None
        assert sorted(runner.done) == list(range(len(case.nodes)))
    else:
        assert isinstance(error, WorkerDied)
        assert (error.node, error.exitcode, error.pid) == (name, -9, 4711)


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    """Kedro logs several lines for each node, and rich takes its time to colour them."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(disabled)


@pytest.fixture(autouse=True)
def _no_files_left():
    yield
    if sys.platform == "win32":
        return  # the fake workers' maps are in this process, and keep their files there
    folders = [tempfile.gettempdir(), "/dev/shm"]
    assert not [p for f in folders for p in glob.glob(f"{f}/prunner-{os.getpid()}-*")]


def test_numbers_of_the_oracle_tell_values_apart():
    assert plain(np.array([1, 2])) != plain(np.array([2, 1]))
    assert plain([3]) != plain(3)
    assert plain(Handle(3)) != plain(3)
