"""Hooks fire on the session's instances; those of ``worker_hooks`` fire in the workers."""

from __future__ import annotations

import os
import threading

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

import prunner
from prunner import ParallelRunner
from tests.processes import nodes
from tests.processes.conftest import NEW_AND_COPIED

pytestmark = NEW_AND_COPIED


def run(start_method, pipeline, catalog, *hooks, **options):
    manager = _create_hook_manager()
    for each in hooks:
        manager.register(each)
    runner = ParallelRunner(max_workers=2, start_method=start_method, **options)
    return runner.run(Pipeline(pipeline), catalog, manager)


class WithLock(Exception):
    """Cannot be pickled."""

    def __init__(self):
        super().__init__("locked")
        self.lock = threading.Lock()


def test_the_error_that_a_hook_saw_is_the_one_that_is_raised(start_method):
    seen = []

    class Hooks:
        @hook_impl
        def on_node_error(self, error, node, inputs):
            seen.append((error, node.name, inputs, error.__traceback__ is not None))

    with pytest.raises(ValueError, match="a node failed") as caught:
        run(
            start_method,
            [node(nodes.fail, "a", "b", name="n")],
            DataCatalog({"a": memory(1)}),
            Hooks(),
        )
    assert seen == [(caught.value, "n", {"a": 1}, True)]
    assert seen[0][0] is caught.value


@pytest.mark.parametrize("kind", [WithLock, SystemExit], ids=lambda kind: kind.__name__)
def test_what_a_hook_raises_is_raised_itself(start_method, kind):
    error = kind()

    class Hooks:
        @hook_impl
        def before_dataset_saved(self):
            raise error

    with pytest.raises(kind) as caught:
        run(start_method, [node(nodes.double, "a", "b")], DataCatalog({"a": memory(1)}), Hooks())
    assert caught.value is error


def test_the_catalog_shows_what_workers_have_made(start_method):
    """A hook finds in the catalog what it finds there under SequentialRunner."""
    seen = {}
    catalog = DataCatalog({"a": memory(2)})

    class Hooks:
        @hook_impl
        def after_dataset_saved(self, dataset_name, data):
            assert catalog.load(dataset_name) == data

        @hook_impl
        def before_node_run(self, node, catalog):
            seen[node.name] = [
                catalog.load(name) if catalog.exists(name) else None for name in ("a", "b", "c")
            ]

    run(
        start_method,
        [
            node(nodes.double, "a", "b", name="first"),
            node(nodes.double, "b", "c", name="second"),
            node(nodes.add, ["b", "c"], "d", name="third"),
        ],
        catalog,
        Hooks(),
    )
    assert seen == {
        "first": [2, None, None],
        "second": [2, 4, None],
        "third": [2, 4, 8],
    }
    assert type(catalog.get("b")) is MemoryDataset
    assert not catalog.exists("b")
    assert catalog.load("d") == 12


class Validation:
    """Counts, and says where."""

    def __init__(self, limit):
        self.limit = limit
        self.pids: list[int] = []
        self.threads: list[int] = []

    @hook_impl
    def after_dataset_loaded(self, dataset_name, data, node):
        self.pids.append(os.getpid())
        if data > self.limit:
            raise ValueError(f"{dataset_name} of {node.name} is {data}")

    @hook_impl
    def before_node_run(self, inputs):
        return {"a": [self.limit, *self.pids]}


class Watcher:
    def __init__(self):
        self.seen = []

    @hook_impl
    def before_node_run(self, inputs):
        self.seen.append(inputs)


def test_chosen_hooks_run_in_the_workers_on_copies(start_method):
    validation, watcher = Validation(10), Watcher()
    validation.limit = 20  # the copies are of the hook as it is when the run begins
    outputs = run(
        start_method,
        [node(nodes.with_pid, "a", "b", name="n")],
        DataCatalog({"a": memory(11)}),
        validation,
        watcher,
        worker_hooks=[f"{__name__}.Validation"],
    )
    (limit, *pids), worker = outputs["b"].load()
    assert limit == 20
    assert pids == [worker]
    assert worker != os.getpid()
    assert validation.pids == []
    assert watcher.seen == [{"a": 11}]


def test_what_a_hook_in_a_worker_raises_fails_the_node(start_method):
    with pytest.raises(ValueError, match="a of n is 11") as caught:
        run(
            start_method,
            [node(nodes.double, "a", "b", name="n")],
            DataCatalog({"a": memory(11)}),
            Validation(10),
            worker_hooks=f"{__name__}.Validation",
        )
    assert caught.traceback[-1].name == "after_dataset_loaded"


def test_hooks_that_nobody_has_registered_are_refused(start_method):
    with pytest.raises(prunner.OptionError, match=r"'nobody'.*Watcher"):
        run(
            start_method,
            [node(nodes.double, "a", "b")],
            DataCatalog({"a": memory(1)}),
            Watcher(),
            worker_hooks=["nobody"],
        )


def memory(value):
    return MemoryDataset(value)
