from __future__ import annotations

import pytest
from kedro.pipeline import Pipeline, node

from prunner import history
from tests.random_nodes import join, one


@pytest.fixture(autouse=True)
def nothing_known():
    history.forget()
    yield
    history.forget()


def keys(*functions):
    nodes = [node(f, "raw", f"d{i}", name=f"n{i}") for i, f in enumerate(functions)]
    return history.keys_of(Pipeline(nodes).nodes)


def test_at_first_nothing_is_known():
    assert history.recall(keys(one, one)).seconds == {}


def test_a_later_pipeline_with_the_same_nodes_knows_how_long_they_took():
    history.note(keys(one, one, one), {0: 1.5, 2: 0.25}, {})
    assert history.recall(keys(one, one, one)).seconds == {0: 1.5, 2: 0.25}
    history.note(keys(one), {0: 3.0}, {})
    assert history.recall(keys(one, one)).seconds == {0: 3.0}


def test_a_node_of_the_same_name_that_calls_another_function_is_another_node():
    history.note(keys(one), {0: 1.5}, {})
    assert history.recall(keys(join)).seconds == {}


def test_what_is_remembered_is_limited(monkeypatch):
    monkeypatch.setattr(history, "_MOST_NODES", 2)
    history.note(keys(one, one, one), {0: 1.0, 1: 1.0, 2: 1.0}, {})
    assert history.recall(keys(one, one, one)).seconds == {1: 1.0, 2: 1.0}


class Callable:
    def __call__(self, value):
        return value


def test_any_callable_will_do():
    history.note(keys(Callable()), {0: 1.5}, {})
    assert history.recall(keys(Callable())).seconds == {0: 1.5}
