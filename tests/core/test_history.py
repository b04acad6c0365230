from __future__ import annotations

import pytest
from kedro.pipeline import Pipeline, node

from prunner import history
from prunner.history import forget_durations, known_durations, note_durations
from tests.random_nodes import join, one


@pytest.fixture(autouse=True)
def nothing_known():
    forget_durations()
    yield
    forget_durations()


def nodes(*functions):
    return Pipeline([node(f, "raw", f"d{i}", name=f"n{i}") for i, f in enumerate(functions)]).nodes


def test_at_first_nothing_is_known():
    assert known_durations(nodes(one, one)) == {}


def test_a_later_pipeline_with_the_same_nodes_knows_how_long_they_took():
    note_durations(nodes(one, one, one), {0: 1.5, 2: 0.25})
    assert known_durations(nodes(one, one, one)) == {0: 1.5, 2: 0.25}
    note_durations(nodes(one), {0: 3.0})
    assert known_durations(nodes(one, one)) == {0: 3.0}


def test_a_node_of_the_same_name_that_calls_another_function_is_another_node():
    note_durations(nodes(one), {0: 1.5})
    assert known_durations(nodes(join)) == {}


def test_what_is_remembered_is_limited(monkeypatch):
    monkeypatch.setattr(history, "_MOST_NODES", 2)
    note_durations(nodes(one, one, one), {0: 1.0, 1: 1.0, 2: 1.0})
    assert known_durations(nodes(one, one, one)) == {1: 1.0, 2: 1.0}


class Callable:
    def __call__(self, value):
        return value


def test_any_callable_will_do():
    note_durations(nodes(Callable()), {0: 1.5})
    assert known_durations(nodes(Callable())) == {0: 1.5}
