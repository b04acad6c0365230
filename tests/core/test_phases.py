from __future__ import annotations

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import AbstractDataset, DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import node
from kedro.runner import Task

from prunner.bridge.phases import PhaseWatch


class Broken(AbstractDataset[object, object]):
    def load(self):
        raise OSError("cannot be loaded")

    def save(self, data):
        raise OSError("cannot be saved")

    def _describe(self):
        return {}


def phase_of(func, inputs, outputs, is_async=False, hooks=None):
    """The phase in which a node fails."""
    manager = _create_hook_manager()
    if hooks is not None:
        manager.register(hooks)
    watch = PhaseWatch(manager)
    catalog = DataCatalog(
        {"a": MemoryDataset(1), "b": MemoryDataset(2), "c": MemoryDataset(), "broken": Broken()}
    )
    each = node(func, inputs, outputs, name="n")
    with pytest.raises((DatasetError, ZeroDivisionError)):
        Task(each, catalog, is_async, watch).execute()  # type: ignore[arg-type]
    return watch.phase


def ratio(*_):
    return 1 / 0


def chunks(_):
    yield 1
    yield 1 / 0


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_node_is_doing_when_it_fails(is_async):
    assert phase_of(max, ["a", "broken", "b"], "c", is_async) == "loading dataset 'broken'"
    assert phase_of(ratio, ["a", "b"], "c", is_async) == "running"
    assert phase_of(divmod, ["a", "b"], ["c", "broken"], is_async) in (
        "saving dataset 'broken'",
        "saving one of the datasets 'c', 'broken'",  # in threads at once
    )


def test_a_generator_runs_between_two_chunks():
    assert phase_of(chunks, "a", "c") == "running"


@pytest.mark.parametrize(
    "name", ["before_node_run", "after_node_run", "before_dataset_loaded", "after_dataset_saved"]
)
def test_a_hook_that_fails_is_named(name):
    hooks = type("Hooks", (), {name: hook_impl(ratio)})()
    assert phase_of(max, ["a", "b"], "c", hooks=hooks) == f"calling hook '{name}'"
