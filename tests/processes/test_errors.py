"""The exception that reaches the caller is the one that was raised, wherever that was."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import weakref
from dataclasses import dataclass
from multiprocessing.connection import Listener

import pytest
from kedro.io import AbstractDataset, DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from prunner import ParallelRunner
from prunner.processes.book import MAIN_TAG
from tests.equivalence import look
from tests.processes import nodes
from tests.processes.conftest import NEW_AND_COPIED

pytestmark = NEW_AND_COPIED


class Stubborn(AbstractDataset[object, object]):
    def load(self):
        raise OSError(13, "Permission denied", "where.csv")

    def save(self, data):
        raise RuntimeError("the disk is full")

    def _describe(self):
        return {"filepath": "where.csv"}


class Locked(LookupError):
    def __init__(self, lock):
        super().__init__("locked", 3)
        self.lock = lock

    def __str__(self):
        return f"locked: {self.lock.locked()}"


def raise_locked(_):
    raise Locked(threading.Lock())


class Closed:
    """As a row of a data base whose session has ended."""

    def __init__(self):
        self.lock = threading.Lock()

    def __repr__(self):
        raise RuntimeError("the session is closed")


class RowError(Exception):
    def __str__(self):
        return str(self.args[0])


def raise_with_closed(_):
    raise RowError("wrong", Closed())


@dataclass(frozen=True)
class Frozen(Exception):
    code: int


def raise_frozen(_):
    raise Frozen(3)


def leave(_):
    sys.exit(3)


def interrupt(_):
    raise KeyboardInterrupt


def run(runner, func, inputs="a", outputs="b", tags=()):
    """The exception of a run, whose first node runs well."""
    catalog = DataCatalog(
        {"raw": MemoryDataset(1), "stubborn": Stubborn(), "other": MemoryDataset(1)}
    )
    pipeline = Pipeline(
        [
            node(nodes.double, "raw", "a", name="first"),
            node(func, inputs, outputs, name="guilty", tags=tags),
        ]
    )
    with pytest.raises(BaseException) as caught:
        runner.run(pipeline, catalog)
    return caught.value


def parallel(start_method):
    return ParallelRunner(max_workers=2, start_method=start_method)


@pytest.mark.parametrize("tags", [[], [MAIN_TAG]], ids=["worker", "main"])
@pytest.mark.parametrize(
    ("func", "inputs", "outputs", "phase"),
    [
        (nodes.fail, "a", "b", "running"),
        (nodes.identity, "stubborn", "b", "loading dataset 'stubborn'"),
        (nodes.identity, "a", "stubborn", "saving dataset 'stubborn'"),
    ],
    ids=["run", "load", "save"],
)
def test_errors_are_those_of_the_sequential_runner(
    start_method, func, inputs, outputs, phase, tags
):
    got = run(parallel(start_method), func, inputs, outputs, tags)
    assert look(got) == look(run(SequentialRunner(), func, inputs, outputs))
    assert isinstance(got, (ValueError, DatasetError))
    if sys.version_info >= (3, 11):
        (note,) = got.__notes__
        where = "the main process" if tags else "worker process"
        assert note.startswith(f"Node 'guilty' failed while {phase}, in {where}")


def test_what_cannot_be_pickled_is_caught_as_what_it_is(start_method):
    error = run(parallel(start_method), raise_locked)
    assert isinstance(error, Locked)
    assert str(error) == "locked: False"
    assert error.args == ("locked", 3)


def test_what_cannot_even_be_shown_ends_the_run(start_method):
    error = run(parallel(start_method), raise_with_closed)
    assert isinstance(error, RowError)
    assert error.args == ("wrong", "<Closed that cannot be shown>")


@pytest.mark.parametrize("tags", [[], [MAIN_TAG]], ids=["worker", "main"])
def test_a_frozen_exception_is_that_of_the_sequential_runner(start_method, tags, caplog):
    error = run(parallel(start_method), raise_frozen, tags=tags)
    assert look(error) == look(run(SequentialRunner(), raise_frozen))
    assert "Node 'guilty' failed while running" in caplog.text  # it takes no note


@pytest.mark.parametrize("func", [leave, interrupt], ids=["SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("tags", [[], [MAIN_TAG]], ids=["worker", "main"])
def test_a_node_may_end_the_process(start_method, func, tags, caplog):
    error = run(parallel(start_method), func, tags=tags)
    original = run(SequentialRunner(), func)
    assert (type(error), error.args) == (type(original), original.args)
    assert getattr(error, "code", None) == getattr(original, "code", None)
    if func is leave or not tags:  # what the main process is interrupted by is the user's
        assert "attempt a new run" not in caplog.text  # as there


def meet(listener):
    """Let the one node fail when both have begun, and the other one go on after that."""
    both = {each.recv(): each for each in (listener.accept(), listener.accept())}
    with both["fails"] as fails, both["goes_on"] as goes_on:
        fails.send("both are there")
        with contextlib.suppress(EOFError, OSError):
            fails.recv()
        goes_on.send("it fails")


def test_a_node_in_flight_ends_and_counts(start_method, caplog):
    """The failing node waits until the other one has begun, the other until that fails."""
    pipeline = Pipeline(
        [
            node(nodes.fail_when, "address", "x", name="fails"),
            node(nodes.begin_and_wait, "address", "y", name="goes_on"),
        ]
    )
    with Listener(("localhost", 0)) as listener:
        meeting = threading.Thread(target=meet, args=(listener,), daemon=True)
        meeting.start()
        catalog = DataCatalog({"address": MemoryDataset(listener.address)})
        with pytest.raises(ValueError, match="a node failed"):
            parallel(start_method).run(pipeline, catalog)
        meeting.join()
    assert "Completed node: goes_on" in caplog.text
    assert catalog.load("y") == 1
    assert "There are 1 nodes that have not run" in caplog.text
    assert '--from-nodes "fails"' in caplog.text


def raise_row_error(_):
    raise RowError("as it is to be")


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_an_exception_does_not_refer_to_itself(on_error):
    """Else what a failed run had in memory would stay until garbage is collected."""
    runner = ParallelRunner(1, on_error=on_error)
    one = Pipeline([node(raise_row_error, "a", "b")])
    gc.collect()
    gc.disable()
    try:
        try:
            runner.run(one, DataCatalog({"a": MemoryDataset(1)}))
        except Exception as error:
            found = weakref.ref(getattr(error, "exceptions", [error])[0])
        assert found() is None
    finally:
        gc.enable()
