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
from kedro.runner import SequentialRunner

from prunner import WorkerDied
from tests.core.fake_pool import FakeRunner
from tests.equivalence import EMPTY, look, outcome_of, plain, value_of
from tests.pipelines import pipelines
from tests.random_nodes import Handle

# Hypothesis may take minutes to make a failing pipeline small.
pytestmark = pytest.mark.timeout(400)

cases = pipelines()
seeds = st.integers(0, 2**16).map(Random)
workers = st.integers(1, 4)


@given(cases, workers, seeds)
@settings(max_examples=100)
def test_any_pipeline_has_the_outcome_of_the_sequential_runner(case, count, random):
    runner = FakeRunner(count, random)
    got, expected = outcome_of(runner, case), outcome_of(SequentialRunner(), case)
    assert got.error is None
    assert got.outputs == expected.outputs
    assert got.left == expected.left
    assert got.hooks == expected.hooks
    assert sorted(runner.done) == list(range(len(case.nodes)))
    assert sorted(runner.ran_there) == sorted(set(runner.done) - runner.pinned)


@given(cases, workers, seeds)
@settings(max_examples=40)
def test_loading_and_saving_in_threads_changes_nothing(case, count, random):
    if any(each.function == "chunks" for each in case.nodes):
        return  # Kedro refuses generators there
    got = outcome_of(FakeRunner(count, random, is_async=True), case)
    expected = outcome_of(SequentialRunner(is_async=True), case)
    assert got.outputs == expected.outputs
    assert got.left == expected.left
    # Threads have no order, and there hooks are called in them, here on the thread of run.
    assert without_thread(got.hooks) == without_thread(expected.hooks)


def without_thread(hooks):
    return {
        name: Counter((hook, here[1:], *facts) for hook, here, *facts in calls)
        for name, calls in hooks.items()
    }


@given(pipelines(may_fail=True).filter(lambda case: case.failing()), workers, seeds)
@settings(max_examples=40)
def test_the_error_of_a_node_is_that_of_the_sequential_runner(case, count, random):
    runner = FakeRunner(count, random)
    got, expected = outcome_of(runner, case), outcome_of(SequentialRunner(), case)
    assert look(got.error) == look(expected.error)
    nodes = case.pipeline().nodes
    done = {nodes[step].name for step in runner.done}
    failed = next(each for each in nodes if each.name == case.failing().name)
    assert failed.name not in done
    above = {each.name for each in case.pipeline().to_nodes(failed.name).nodes}
    assert above <= done | {failed.name}
    for name in above:
        assert got.hooks[name] == expected.hooks[name]
    saved = {name for name in failed.outputs if got.left[name] != EMPTY}
    assert {name: got.left[name] for name in saved} == {
        name: expected.left[name] for name in failed.outputs if expected.left[name] != EMPTY
    }
    assert_is_what_done_nodes_leave(case, got.left, done, saved)


def assert_is_what_done_nodes_leave(case, left, done, other):
    """Kedro would leave the same had exactly these nodes run."""
    pipeline = case.pipeline()
    with tempfile.TemporaryDirectory() as folder:
        catalog = case.catalog(Path(folder))
        counts = Counter(name for each in pipeline.nodes for name in each.inputs)
        for each in pipeline.nodes:
            if each.name in done:
                SequentialRunner().run(pipeline.only_nodes(each.name), catalog)
                SequentialRunner._release_datasets(each, catalog, counts, pipeline)
        for name in left.keys() - _with_variants(left, other):
            value = left[name]
            assert value == value_of(catalog.get(name, fallback_to_runtime_pattern=True)), name


def _with_variants(names, chosen):
    """Also those that are transcoded from the same file."""
    files = {name.partition("@")[0] for name in chosen}
    return {name for name in names if name.partition("@")[0] in files}


@given(cases, workers, seeds, st.data())
@settings(max_examples=40)
def test_the_death_of_a_worker_names_the_node_that_ran_there(case, count, random, data):
    step = data.draw(st.integers(0, len(case.nodes) - 1))
    runner = FakeRunner(count, random, deaths={step: 1})
    error = outcome_of(runner, case).error
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
