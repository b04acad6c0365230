from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunner.planning.width import width

NO_LIMIT = 10**9


@st.composite
def graphs(draw, max_size=9):
    size = draw(st.integers(0, max_size))
    return [
        frozenset(draw(st.sets(st.integers(0, i - 1), max_size=4))) if i else frozenset()
        for i in range(size)
    ]


def ancestors(parents):
    found: list[set[int]] = []
    for above in parents:
        found.append(set(above).union(*(found[parent] for parent in above)))
    return found


def largest_antichain(parents, chosen):
    above = ancestors(parents)
    for size in range(len(chosen), 0, -1):
        for group in combinations(chosen, size):
            if all(a not in above[b] and b not in above[a] for a, b in combinations(group, 2)):
                return size
    return 0


def chains(count, length):
    return [
        frozenset([step - 1]) if step % length else frozenset() for step in range(count * length)
    ]


@given(graphs())
def test_width_is_the_largest_set_of_independent_steps(parents):
    everything = range(len(parents))
    assert width(parents, everything, NO_LIMIT) == largest_antichain(parents, everything)


@given(graphs(), st.data())
def test_only_chosen_steps_count_but_paths_through_the_others_do(parents, data):
    flags = data.draw(st.lists(st.booleans(), min_size=len(parents), max_size=len(parents)))
    chosen = [step for step, flag in enumerate(flags) if flag]
    assert width(parents, chosen, NO_LIMIT) == largest_antichain(parents, chosen)


@given(graphs(), st.integers(1, 10))
def test_limit_cuts_the_width(parents, limit):
    everything = range(len(parents))
    expected = min(limit, largest_antichain(parents, everything))
    assert width(parents, everything, limit) == expected


@pytest.mark.parametrize(("count", "length"), [(1, 1), (1, 30), (10, 2), (5, 20), (40, 1)])
def test_chains_need_one_worker_each(count, length):
    parents = chains(count, length)
    assert width(parents, range(len(parents)), NO_LIMIT) == count


def test_no_level_of_a_staircase_is_as_wide_as_the_graph():
    # A chain with a leaf at every step: each level holds 2 steps, but all leaves can run at once.
    spine = [frozenset[int](), *(frozenset([i]) for i in range(9))]
    leaves = [frozenset([i]) for i in range(10)]
    parents = spine + leaves
    assert width(parents, range(20), NO_LIMIT) == 10


def test_no_step_needs_no_worker():
    assert width([], [], 4) == 0
    assert width(chains(3, 1), [], 4) == 0


def test_a_thousand_steps_in_layers_are_quick():
    layers, size = 20, 50
    parents = [
        frozenset(range((step // size - 1) * size, step // size * size))
        if step >= size
        else frozenset()
        for step in range(layers * size)
    ]
    assert width(parents, range(len(parents)), NO_LIMIT) == size
