from __future__ import annotations

import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager, _NullPluginManager

from prunner.bridge.data import Exchange
from prunner.bridge.failure import Failures
from prunner.bridge.hooks import RELAYED, HookDesk, HookRelay, StaysWithNode, implemented_hooks
from prunner.bridge.shelf import Shelf
from tests.random_nodes import Handle, NodeFailed

KNOWN = {"node": "the node", "catalog": "the catalog", "is_async": False, "run_id": "the run"}


def manager_of(*hooks):
    manager = _create_hook_manager()
    for each in hooks:
        manager.register(each)
    return manager


class Bridge:
    """A worker's relay and the parent's answer to it, without the link between them.

    Attributes:
        relay: What a worker's task takes for a hook manager.
        calls: Every call that would have gone over the link.
    """

    def __init__(self, exchange, *hooks, local=None):
        self.calls = []
        self.shelf = Shelf(exchange)
        self.failures = Failures()
        manager = manager_of(*hooks)
        self.desk = HookDesk(manager, KNOWN, exchange)
        implemented = implemented_hooks(manager)
        self.relay = HookRelay(implemented, self._ask, local)
        self.relay.begin_step(3, self.shelf, self.failures, dict)

    def _ask(self, call):
        self.calls.append(call)
        return self.desk.answer(call)


@pytest.fixture
def exchange():
    with Exchange.create() as exchange:
        yield exchange


def before_node_run(relay, **inputs):
    return relay.hook.before_node_run(
        node="a copy", catalog="a copy", inputs=inputs, is_async=False, run_id="the run"
    )


# --- implemented_hooks ------------------------------------------------------------------------


def test_nothing_is_implemented_at_first():
    assert implemented_hooks(manager_of()) == {}


def test_kedros_null_manager_implements_nothing():
    assert implemented_hooks(_NullPluginManager()) == {}  # type: ignore[arg-type]


def test_hooks_are_found_with_the_arguments_that_some_implementation_takes():
    class First:
        @hook_impl
        def after_node_run(self, node):
            pass

        @hook_impl
        def after_pipeline_run(self):
            pass

    class Second:
        @hook_impl
        def after_node_run(self, outputs, run_id):
            pass

        @hook_impl
        def before_dataset_loaded(self):
            pass

    assert implemented_hooks(manager_of(First(), Second())) == {
        "after_node_run": {"node", "outputs", "run_id"},
        "before_dataset_loaded": frozenset(),
    }


def test_every_hook_that_kedro_calls_around_a_node_is_relayed():
    specs = _create_hook_manager().hook
    around_nodes = {n for n in vars(specs) if "node" in n or "_dataset_" in n}
    assert set(RELAYED) == around_nodes


# --- the relay --------------------------------------------------------------------------------


def test_a_hook_that_nobody_implements_is_not_sent(exchange):
    bridge = Bridge(exchange)
    for name in RELAYED:
        assert getattr(bridge.relay.hook, name)(node="n", data=Handle(1)) == []
    assert bridge.calls == []


def test_what_is_no_hook_of_a_node_is_no_attribute(exchange):
    with pytest.raises(AttributeError, match="after_pipeline_run"):
        _ = Bridge(exchange).relay.hook.after_pipeline_run


def test_hooks_get_what_the_parent_has_and_not_copies(exchange):
    got = []

    class Hooks:
        @hook_impl
        def before_node_run(self, node, catalog, is_async, run_id):
            got.append((node, catalog, is_async, run_id))

    bridge = Bridge(exchange, Hooks())
    assert before_node_run(bridge.relay, a=1) == []
    assert got == [("the node", "the catalog", False, "the run")]
    assert bridge.calls[0].step == 3


def test_the_name_of_a_dataset_travels(exchange):
    got = []

    class Hooks:
        @hook_impl
        def before_dataset_loaded(self, dataset_name, node):
            got.append((dataset_name, node))

    Bridge(exchange, Hooks()).relay.hook.before_dataset_loaded(dataset_name="d", node="a copy")
    assert got == [("d", "the node")]


def test_data_travels_where_some_implementation_takes_it(exchange):
    got = []

    class Hooks:
        @hook_impl
        def after_node_run(self, inputs, outputs):
            got.append((inputs, outputs))

        @hook_impl
        def after_dataset_loaded(self, data):
            got.append(data)

    relay = Bridge(exchange, Hooks()).relay
    relay.hook.after_node_run(node="n", inputs={"a": [1]}, outputs={"b": 2}, catalog="c")
    relay.hook.after_dataset_loaded(dataset_name="d", data=b"x" * 100_000, node="n")
    assert got == [({"a": [1]}, {"b": 2}), b"x" * 100_000]


def test_data_stays_where_no_implementation_takes_it(exchange):
    class Hooks:
        @hook_impl
        def after_node_run(self, node, outputs):
            pass

        @hook_impl
        def after_dataset_saved(self, dataset_name):
            pass

    bridge = Bridge(exchange, Hooks())
    unpicklable = Handle(1)
    bridge.relay.hook.after_node_run(node="n", inputs={"a": unpicklable}, outputs={"b": 2})
    bridge.relay.hook.after_dataset_saved(dataset_name="d", data=unpicklable, node="n")
    assert [bool(call.data) for call in bridge.calls] == [True, False]


def test_a_hook_keeps_its_state_from_call_to_call(exchange):
    class Hooks:
        def __init__(self):
            self.count = 0

        @hook_impl
        def before_node_run(self):
            self.count += 1

    hooks = Hooks()
    bridge = Bridge(exchange, hooks)
    before_node_run(bridge.relay)
    before_node_run(bridge.relay)
    assert hooks.count == 2


def test_new_inputs_come_back_from_all_implementations(exchange):
    class First:
        @hook_impl
        def before_node_run(self, inputs):
            return {"a": inputs["a"] + 1}

    class Silent:
        @hook_impl
        def before_node_run(self):
            return None

    class Last:
        @hook_impl
        def before_node_run(self, inputs):
            return {"b": list(range(10_000))}

    bridge = Bridge(exchange, First(), Silent(), Last())
    manager = manager_of(First(), Silent(), Last())
    expected = manager.hook.before_node_run(**KNOWN, inputs={"a": 1})
    assert before_node_run(bridge.relay, a=1) == expected == [{"b": list(range(10_000))}, {"a": 2}]


def test_what_a_hook_raises_is_raised_in_the_worker(exchange):
    class Hooks:
        @hook_impl
        def before_node_run(self, inputs):
            raise LookupError(f"refused {inputs}")

        @hook_impl
        def after_dataset_loaded(self):
            raise NodeFailed(1, 2)

    relay = Bridge(exchange, Hooks()).relay
    with pytest.raises(LookupError, match=r"refused \{'a': 1\}") as caught:
        before_node_run(relay, a=1)
    assert __file__ in [entry.path.__str__() for entry in caught.traceback]
    with pytest.raises(NodeFailed, match="a node failed with 1 and 2"):
        relay.hook.after_dataset_loaded(dataset_name="d", data=1, node="n")


def test_what_a_hook_returns_and_cannot_travel_is_an_error_in_the_worker(exchange):
    class Hooks:
        @hook_impl
        def before_node_run(self):
            return {"a": Handle(1)}

    with pytest.raises(Exception, match="cannot be pickled"):
        before_node_run(Bridge(exchange, Hooks()).relay)


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyError("key")])
def test_on_node_error_gets_the_error(exchange, error):
    got = []

    class Hooks:
        @hook_impl
        def on_node_error(self, error, node, inputs):
            got.append((error, node, inputs))

    relay = Bridge(exchange, Hooks()).relay
    relay.hook.on_node_error(error=error, node="n", catalog="c", inputs={"a": 1}, run_id="r")
    ((caught, node, inputs),) = got
    assert type(caught) is type(error)
    assert caught.args == error.args
    assert (node, inputs) == ("the node", {"a": 1})


def test_on_node_error_is_called_while_the_error_is_handled(exchange):
    texts = []

    class Hooks:
        @hook_impl
        def on_node_error(self, error):
            assert sys.exc_info()[1] is error
            texts.append(traceback.format_exc())

    relay = Bridge(exchange, Hooks()).relay
    for number in (1, 2):  # what a hook sees of an error does not grow
        try:
            raise ValueError("wrong")
        except ValueError as error:
            relay.hook.on_node_error(error=error, node="n", catalog="c", inputs={}, run_id="r")
        assert len(texts) == number
    assert "in test_on_node_error_is_called_while_the_error_is_handled" in texts[0]
    assert texts[0].endswith("ValueError: wrong\n")


def test_a_hook_gets_a_stand_in_for_what_cannot_leave_a_worker(exchange):
    seen = []

    class Hooks:
        @hook_impl
        def after_dataset_loaded(self, data):
            seen.append(data)

        @hook_impl
        def before_node_run(self, inputs):
            return inputs

    relay = Bridge(exchange, Hooks()).relay
    relay.hook.after_dataset_loaded(dataset_name="d", data=Handle(1), node="n")
    assert seen == [StaysWithNode("tests.random_nodes.Handle")]
    # Handed back, it does not replace the object.
    assert before_node_run(relay, a=Handle(1), b=2) == [{"b": 2}]


def test_a_generator_is_seen_by_hooks_and_not_used_up(exchange):
    seen = []

    class Hooks:
        @hook_impl
        def after_node_run(self, outputs):
            seen.append(outputs["a"])

    generator = iter(c for c in "abc")
    Bridge(exchange, Hooks()).relay.hook.after_node_run(node="n", outputs={"a": generator})
    with pytest.raises(TypeError, match="stays with its node"):
        list(seen[0])
    assert list(generator) == ["a", "b", "c"]


def test_no_file_of_a_call_is_left(exchange):
    class Hooks:
        @hook_impl
        def before_node_run(self, inputs):
            return {"a": b"x" * 100_000}

    bridge = Bridge(exchange, Hooks())
    before_node_run(bridge.relay, a=b"x" * 100_000)
    bridge.shelf.clear()
    assert [p for folder in exchange.folders for p in Path(folder).glob("*")] == []


def large(value=0):
    return np.full(5_000, value)


def test_a_hook_sees_the_same_object_again_and_what_has_changed_as_it_is(exchange):
    seen = []

    class Hooks:
        @hook_impl
        def after_dataset_loaded(self, data):
            seen.append(data)

        @hook_impl
        def before_node_run(self, inputs):
            seen.append(inputs["a"])

        @hook_impl
        def after_node_run(self, inputs, outputs):
            seen.extend([inputs["a"], outputs["b"]])

    for value in ([1], large()):
        seen.clear()
        relay = Bridge(exchange, Hooks()).relay
        relay.hook.after_dataset_loaded(dataset_name="a", data=value, node="n")
        before_node_run(relay, a=value)
        output = list(value)
        relay.hook.after_node_run(node="n", inputs={"a": value}, outputs={"b": output})
        assert seen[0] is seen[1] is seen[2]
        assert seen[3] is not seen[0]
        value[0] = 7
        relay.hook.after_node_run(node="n", inputs={"a": value}, outputs={"b": output})
        assert seen[4] is not seen[0]
        assert seen[4][0] == 7


def test_what_a_generator_has_changed_in_place_is_seen_and_saved_as_it_is(exchange):
    seen = []

    class Hooks:
        @hook_impl
        def after_node_run(self, inputs):
            seen.append(inputs["a"][0])

        @hook_impl
        def before_dataset_saved(self, data):
            seen.append(data[0])

    bridge = Bridge(exchange, Hooks())
    value = bridge.shelf.get(exchange.put(large()))
    bridge.relay.hook.after_node_run(node="n", inputs={"a": value}, outputs={})
    value[0] = 7  # between two chunks
    bridge.relay.hook.before_dataset_saved(dataset_name="b", data=value, node="n")
    assert seen == [0, 7]
    assert exchange.get(bridge.shelf.put(value))[0] == 7


def test_what_a_hook_in_the_worker_has_changed_is_seen_and_saved_as_it_is(exchange):
    class Spoils:
        @hook_impl
        def before_dataset_saved(self, data):
            data[0] = 999

    class Hooks:
        @hook_impl
        def after_node_run(self, outputs):
            pass

    bridge = Bridge(exchange, Hooks(), local=manager_of(Spoils()))
    value = large()
    bridge.relay.hook.after_node_run(**KNOWN, inputs={}, outputs={"a": value})
    bridge.relay.hook.before_dataset_saved(dataset_name="a", data=value, node="n")
    assert exchange.get(bridge.shelf.put(value))[0] == 999


def test_what_hooks_return_that_kedro_does_not_want_stays_where_it_is(exchange):
    class Hooks:
        @hook_impl
        def after_dataset_loaded(self):
            return Handle(1)

    relay = Bridge(exchange, Hooks()).relay
    assert relay.hook.after_dataset_loaded(dataset_name="d", data=1, node="n") == []


def test_new_inputs_that_are_no_mapping_are_refused_as_kedro_does(exchange):
    class Hooks:
        @hook_impl
        def before_node_run(self):
            return iter([1])

    with pytest.raises(TypeError, match=r"'before_node_run' must return .*'list_iterator' instead"):
        before_node_run(Bridge(exchange, Hooks()).relay)
