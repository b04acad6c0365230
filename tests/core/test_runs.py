"""Runs with fake processes that are too particular for a random pipeline."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from random import Random

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import AbstractDataset, CachedDataset, DataCatalog, MemoryDataset, Version
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner
from kedro_datasets.pickle import PickleDataset

from prunner.processes.book import MAIN_TAG
from tests.core.fake_pool import FakeRunner
from tests.random_nodes import array, chunks, handle, join, number, one, overwrite


class Lossy:
    """Loses something on its way through a pickle."""

    def __init__(self):
        self.connection = threading.Lock()

    def __getstate__(self):
        return {}


def open_connection(_):
    return Lossy()


def use_connection(*connections):
    return int(all(hasattr(each, "connection") for each in connections))


def run(runner, nodes, catalog, *hooks):
    manager = _create_hook_manager()
    for each in hooks:
        manager.register(each)
    pipeline = Pipeline(nodes)
    runner.run(pipeline, catalog, manager)
    return catalog


@pytest.fixture(params=["sequential", "parallel"])
def runner(request):
    """Every test here has to hold for Kedro's own runner too."""
    return SequentialRunner() if request.param == "sequential" else FakeRunner(2, Random(1))


def kept(data=None):
    return MemoryDataset(**({} if data is None else {"data": data}), copy_mode="assign")


def test_data_goes_from_the_parent_to_a_worker_and_back(runner):
    nodes = [
        node(array, "raw", "a", name="here", tags=MAIN_TAG),
        node(one, "a", "b", name="there"),
        node(join, ["a", "b"], "c", name="here_again", tags=MAIN_TAG),
        node(join, ["c", "b"], "d", name="there_again"),
    ]
    catalog = run(runner, nodes, DataCatalog({"raw": MemoryDataset(5)}))
    expected = join(join(array(5), one(array(5))), one(array(5)))
    assert catalog.load("d") == expected
    assert [catalog.exists(name) for name in "abc"] == [False, False, False]


def test_no_node_sees_what_another_one_does_to_its_input(runner):
    nodes = [
        node(array, "raw", "a"),
        *(node(overwrite, ["a", "raw"], f"b{i}", name=f"n{i}") for i in range(3)),
        node(overwrite, ["a", "raw"], "b3", name="n3", tags=MAIN_TAG),
    ]
    catalog = run(runner, nodes, DataCatalog({"raw": MemoryDataset([5])}))
    assert {catalog.load(f"b{i}") for i in range(4)} == {join(array([5]), [5])}
    assert catalog.load("raw") == [5]


def test_an_object_that_stays_in_the_parent_stays_the_same_object(runner):
    nodes = [
        node(open_connection, "raw", "a", name="opens", tags=MAIN_TAG),
        node(use_connection, ["a", "own"], "b", name="uses", tags=MAIN_TAG),
        node(one, "raw", "c", name="elsewhere"),
    ]
    own = Lossy()
    catalog = DataCatalog({"raw": MemoryDataset(1), "a": kept(), "own": kept(own)})
    assert run(runner, nodes, catalog).load("b") == 1
    assert catalog.load("own") is own


def test_an_input_that_workers_load_too_stays_the_same_object_in_the_parent(runner):
    nodes = [
        node(use_connection, "own", "a", name="here", tags=MAIN_TAG),
        node(id, "own", "b", name="there"),
    ]
    own = Lossy()
    catalog = DataCatalog({"own": kept(own)})
    assert run(runner, nodes, catalog).load("a") == 1
    assert catalog.load("own") is own


def test_who_loads_what_cannot_leave_the_parent_runs_there_unasked(runner):
    nodes = [
        node(handle, "raw", "a", name="makes", tags=MAIN_TAG),
        node(number, "a", "b", name="takes"),
        node(one, "raw", "c", name="other"),
    ]
    catalog = DataCatalog({"raw": MemoryDataset(1), "a": kept()})
    assert run(runner, nodes, catalog).load("b") == join(1)


def test_a_dataset_for_a_single_process_serves_nodes_of_all_kinds(runner, tmp_path):
    stored = CachedDataset(PickleDataset(filepath=str(tmp_path / "f")))
    nodes = [
        node(one, "raw", "stored", name="saves"),
        node(one, "stored", "b", name="loads"),
        node(one, "b", "c", name="free"),
    ]
    catalog = run(runner, nodes, DataCatalog({"raw": MemoryDataset(1), "stored": stored}))
    assert catalog.load("c") == one(one(one(1)))


@pytest.fixture
def versions(tmp_path):
    """A catalog with a versioned dataset, of which there is an older version."""

    def make(save):
        version = Version(None, save)
        return PickleDataset(filepath=(tmp_path / "f.pkl").as_posix(), version=version)

    make("2020-01-01T00.00.00.000Z").save(1000)
    catalog = DataCatalog({"raw": MemoryDataset(1), "v": make("2030-01-01T00.00.00.000Z")})
    # As a hook does, or the option --only-missing-outputs.
    assert catalog.load("v") == 1000
    return catalog


@pytest.mark.parametrize("seed", range(4))
def test_a_worker_loads_the_version_that_another_one_has_saved(versions, seed):
    nodes = [
        node(one, "raw", "v", name="saves"),
        *(node(one, "v", f"b{i}", name=f"loads{i}") for i in range(6)),
    ]
    run(FakeRunner(3, Random(seed)), nodes, versions)
    assert {versions.load(f"b{i}") for i in range(6)} == {one(one(1))}


def test_the_parent_loads_the_version_that_a_worker_has_saved(runner, versions):
    nodes = [
        node(one, "raw", "v", name="there"),
        node(one, "v", "b", name="here", tags=MAIN_TAG),
    ]
    assert run(runner, nodes, versions).load("b") == one(one(1))


def test_the_caller_loads_the_version_that_a_worker_has_saved(runner, versions):
    assert run(runner, [node(one, "raw", "v")], versions).load("v") == one(1)


def test_a_hook_may_look_at_the_outputs_of_a_generator_node(runner):
    seen = []

    class Hooks:
        @hook_impl
        def after_node_run(self, node, outputs):
            seen.append((node.name, sorted(outputs)))

    nodes = [node(chunks, "raw", "a", name="n")]
    catalog = run(runner, nodes, DataCatalog({"raw": MemoryDataset(1)}), Hooks())
    assert seen == [("n", ["a"])]
    assert catalog.load("a") == join(1) + 2


class Lines(AbstractDataset[None, Iterator[int]]):
    """Hands out an iterator, as a reader of a large file in parts does."""

    def load(self):
        return iter([1, 2, 3])

    def save(self, data):
        raise NotImplementedError

    def _describe(self):
        return {}


def test_a_hook_may_hand_back_the_iterator_that_a_node_loads(runner):
    class Hooks:
        @hook_impl
        def before_node_run(self, inputs):
            return dict(inputs)

    nodes = [node(sum, "lines", "a", name="n")]
    assert run(runner, nodes, DataCatalog({"lines": Lines()}), Hooks()).load("a") == 6


def test_a_hook_changes_the_inputs_of_a_node(runner):
    class Hooks:
        @hook_impl
        def before_node_run(self, node, inputs):
            return {"raw": inputs["raw"] + 10} if node.name == "n" else None

    nodes = [node(one, "raw", "a", name="n"), node(one, "raw", "b", name="other")]
    catalog = run(runner, nodes, DataCatalog({"raw": MemoryDataset(1)}), Hooks())
    assert (catalog.load("a"), catalog.load("b")) == (one(11), one(1))


@pytest.mark.parametrize("replace", [True, False])
def test_what_a_hook_saves_to_an_output_is_what_is_left(runner, replace):
    """Large, so that it lies in a file of its own."""
    catalog = DataCatalog({"raw": MemoryDataset(1), "a": MemoryDataset()})

    class Hooks:
        @hook_impl
        def after_dataset_saved(self, dataset_name, data):
            if replace:
                catalog[dataset_name] = MemoryDataset(data + 100)
            else:
                catalog.save(dataset_name, data + 100)

    run(runner, [node(array, "raw", "a", name="n")], catalog, Hooks())
    assert list(catalog.load("a")) == list(array(1) + 100)


def test_a_hook_that_raises_fails_the_run(runner):
    class Hooks:
        @hook_impl
        def before_dataset_saved(self, dataset_name):
            raise LookupError(f"not {dataset_name}")

    with pytest.raises(LookupError, match="not a"):
        run(runner, [node(one, "raw", "a")], DataCatalog({"raw": MemoryDataset(1)}), Hooks())


def test_the_log_says_the_same_of_progress(runner, caplog):
    caplog.set_level("INFO")
    nodes = [node(one, "raw", "a", name="n1"), node(one, "a", "b", name="n2")]
    run(runner, nodes, DataCatalog({"raw": MemoryDataset(1)}))
    progress = [m for m in caplog.messages if m.startswith("Completed")]
    assert progress == [
        "Completed node: n1",
        "Completed 1 out of 2 tasks",
        "Completed node: n2",
        "Completed 2 out of 2 tasks",
    ]


def test_a_failed_run_suggests_from_where_to_resume(runner, caplog):
    nodes = [node(one, "raw", "a", name="n1"), node(handle, "a", "b", name="n2", tags=MAIN_TAG)]
    with pytest.raises(Exception, match="pickle"):
        run(runner, nodes, DataCatalog({"raw": MemoryDataset(1)}))
    (advice,) = [m for m in caplog.messages if "resume" in m]
    assert '--from-nodes "n1"' in advice
