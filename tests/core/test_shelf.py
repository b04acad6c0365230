from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunner.bridge.data import Exchange
from prunner.bridge.shelf import Shelf


def large(first=0):
    return np.arange(first, first + 5_000)


@pytest.fixture
def exchange():
    with Exchange.create() as exchange:
        yield exchange


@pytest.fixture
def shelf(exchange):
    return Shelf(exchange)


def files(exchange):
    return [path for folder in exchange.folders for path in Path(folder).glob("*")]


def test_what_was_loaded_is_lent_from_where_it_is(exchange, shelf):
    ref = exchange.put(large())
    value = shelf.get(ref)
    assert shelf.lend(value) is ref
    assert len(files(exchange)) == 1


def test_what_was_lent_is_lent_again_and_kept_as_an_output(exchange, shelf):
    value = large()
    ref = shelf.lend(value)
    assert shelf.lend(value) is ref
    assert shelf.put(value) is ref
    assert shelf.lend(value) is ref
    shelf.clear()
    assert np.array_equal(exchange.get(ref), value)


def test_what_was_only_lent_ends_with_the_step(exchange, shelf):
    shelf.lend(large())
    shelf.clear()
    assert files(exchange) == []


def test_what_was_loaded_outlives_the_step(exchange, shelf):
    ref = exchange.put(large())
    shelf.lend(shelf.get(ref))
    shelf.clear()
    assert len(files(exchange)) == 1


def test_two_outputs_never_share_a_file(exchange, shelf):
    value = large()
    first, second = shelf.put(value), shelf.put(value)
    assert first.path != second.path
    loaded = shelf.get(exchange.put(value))
    third = shelf.put(loaded)  # the file of an input is released apart from that of an output
    exchange.release(first)
    assert all(np.array_equal(exchange.get(ref), value) for ref in (second, third))


@pytest.mark.parametrize("was_loaded", [True, False])
def test_what_was_changed_is_written_anew(exchange, shelf, was_loaded):
    value = shelf.get(exchange.put(large())) if was_loaded else large()
    former = shelf.lend(value)
    shelf.doubt()
    assert shelf.lend(value) is former
    value[7] = -1
    shelf.doubt()
    ref = shelf.lend(value)
    assert exchange.get(ref)[7] == -1
    assert len(files(exchange)) == 1 + was_loaded
    assert shelf.lend(value) is ref


def test_other_bytes_of_the_same_length_are_noticed(exchange):
    ref = exchange.put(b"a" * 3_000_000)
    assert exchange.put(b"a" * 3_000_000, unless=ref) is ref
    assert exchange.put(b"a" * 2_999_999 + b"b", unless=ref) is not ref


def test_small_objects_are_packed_each_time(exchange, shelf):
    value = [1]
    assert exchange.get(shelf.lend(value)) == [1]
    value.append(2)
    assert exchange.get(shelf.lend(value)) == exchange.get(shelf.put(value)) == [1, 2]
    assert files(exchange) == []


def test_a_chunk_is_let_go_when_it_is_saved(exchange, shelf):
    for first in range(5):
        chunk = large(first)
        shelf.lend(chunk)
        shelf.forget(chunk)
        assert files(exchange) == []
    former = shelf.put(large())
    for first in range(5):
        chunk = large(first)
        ref = shelf.put(chunk)
        shelf.release(former)
        shelf.forget(chunk)
        former = ref
        assert [str(path) for path in files(exchange)] == [ref.path]
