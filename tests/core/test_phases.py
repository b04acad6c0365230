from __future__ import annotations

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import AbstractDataset, DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import node
from kedro.runner import Task

from prunner.bridge import phases
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


class Ticking:
    """A clock on which every look takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def times_of(monkeypatch, func, inputs, outputs, is_async=False):
    """How long the parts of a node took whose hooks take a hundred seconds each."""
    clock = Ticking()

    class Slow:
        @hook_impl
        def before_dataset_loaded(self):
            clock.now += 100.0

        @hook_impl
        def after_dataset_saved(self):
            clock.now += 100.0

        @hook_impl
        def before_node_run(self):
            clock.now += 100.0

    monkeypatch.setattr(phases, "perf_counter", clock)
    manager = _create_hook_manager()
    manager.register(Slow())
    watch = PhaseWatch(manager)
    catalog = DataCatalog({name: MemoryDataset(1) for name in ("a", "b")})
    for name in ("c", "d"):
        catalog[name] = MemoryDataset()
    task = Task(node(func, inputs, outputs, name="n"), catalog, is_async, watch)  # type: ignore[arg-type]
    watch.begin_step()
    task.execute()
    return watch.times


@pytest.mark.parametrize("is_async", [False, True])
def test_what_takes_how_long_without_hooks(monkeypatch, is_async):
    times = times_of(monkeypatch, lambda a, b: (a, b), ["a", "b"], ["c", "d"], is_async)
    assert sorted(name for name, _, _ in times.loads) == ["a", "b"]
    assert sorted(name for name, _, _ in times.saves) == ["c", "d"]
    if not is_async:  # threads look at the clock, too
        assert {seconds for _, _, seconds in (*times.loads, *times.saves)} == {1.0}
        assert times.run == 1.0
        began = [at for _, at, _ in (*times.loads, *times.saves)]
        assert began == [101.0, 203.0, 307.0, 409.0]


def test_chunks_of_a_dataset_count_together(monkeypatch):
    def three(a):
        yield from (a, a, a)

    times = times_of(monkeypatch, three, "a", "c")
    ((name, _, seconds),) = times.saves
    assert (name, seconds) == ("c", 3.0)


def test_what_was_not_reached_is_not_there():
    watch = PhaseWatch(_create_hook_manager())
    catalog = DataCatalog({"a": MemoryDataset(1), "c": MemoryDataset()})
    with pytest.raises(ZeroDivisionError):
        Task(node(ratio, "a", "c", name="n"), catalog, False, watch).execute()  # type: ignore[arg-type]
    assert [name for name, _, _ in watch.times.loads] == ["a"]
    assert (watch.times.run, watch.times.saves) == (None, ())
