from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager, _NullPluginManager

from prunner import OptionError
from prunner.bridge.worker_hooks import (
    NEED_THE_PROCESS,
    choose,
    local_hook_manager,
    pack_hooks,
    without,
)


class Validation:
    def __init__(self, limit=0):
        self.limit = limit

    @hook_impl
    def after_dataset_loaded(self, data):
        assert data > self.limit


class WithLock:
    def __init__(self):
        self.lock = threading.Lock()


@pytest.fixture
def manager():
    manager = _create_hook_manager()
    manager.register(Validation(7))
    manager.register(WithLock(), "my_lock")
    return manager


def test_hooks_are_found_by_class_path_and_by_name(manager):
    (found,) = choose(manager, [f"{__name__}.Validation"]).values()
    assert found.limit == 7  # type: ignore[attr-defined]
    assert list(choose(manager, ["my_lock"])) == ["my_lock"]
    assert choose(manager, []) == {}


@pytest.mark.parametrize("name", ["nobody", "Validation", ""])
def test_a_name_of_nobody_is_refused_and_the_known_ones_are_named(manager, name):
    with pytest.raises(OptionError, match=r"Validation.*WithLock"):
        choose(manager, [name])


def test_by_default_those_are_chosen_that_need_to_be(manager):
    assert choose(manager, None) == {}
    manager.register(needed := Validation(), NEED_THE_PROCESS[0])
    assert choose(manager, None) == {NEED_THE_PROCESS[0]: needed}
    assert choose(manager, []) == {}


def test_without_a_session_nobody_is_known():
    null = _NullPluginManager()
    assert choose(null, None) == {}  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="Registered are: none"):
        choose(null, ["nobody"])  # type: ignore[arg-type]


def test_copies_are_as_the_hooks_are_now(manager):
    chosen = choose(manager, [f"{__name__}.Validation"])
    packed = pack_hooks(chosen)
    assert packed is not None
    local = local_hook_manager(pickle.loads(packed))
    local.hook.after_dataset_loaded(dataset_name="d", data=8, node=None)
    with pytest.raises(AssertionError):
        local.hook.after_dataset_loaded(dataset_name="d", data=7, node=None)


def test_what_cannot_be_copied_is_named(manager):
    with pytest.raises(OptionError, match=r"WithLock, which cannot be pickled"):
        pack_hooks(choose(manager, ["my_lock"]))


def test_nothing_chosen_is_nothing_to_send():
    assert pack_hooks({}) is None


@dataclass
class Unhashable:
    """As dataclasses are."""

    seen: list[object]

    @hook_impl
    def after_dataset_loaded(self, data):
        self.seen.append(data)


def test_the_others_are_called_in_the_parent_in_their_order(manager):
    seen: list[object] = []
    manager.register(Unhashable(seen))
    assert without(manager, {}) is manager
    others = without(manager, choose(manager, [f"{__name__}.Validation"]))
    others.hook.after_dataset_loaded(dataset_name="d", data=7, node=None)
    assert seen == [7]
    kept = [name for name, _ in manager.list_name_plugin() if "Validation" not in str(_)]
    assert [name for name, _ in others.list_name_plugin()] == kept
