from __future__ import annotations

import os
import threading

import pytest

import prunner
from prunner.options import available_start_methods
from tests.leftovers import children, files_of

VARIABLE = "PRUNNER_TEST_START_METHODS"
# One that starts a new interpreter, and one that copies this process: for what does not depend on
# which of the others started a worker.
NEW_AND_COPIED = pytest.mark.start_methods("loky", "fork")
UNDER_ALL = pytest.mark.start_methods()


def is_asked_for() -> bool:
    """Whether the environment says which start methods are tested."""
    return bool(os.environ.get(VARIABLE))


def chosen_start_methods(*enough: str) -> list[str]:
    """Those that the environment asks for; else those that are enough, or all if none are named."""
    here = available_start_methods()
    chosen = os.environ[VARIABLE].split(",") if is_asked_for() else enough or here
    return [method for method in chosen if method in here]


def pytest_generate_tests(metafunc):
    if "start_method" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("start_methods")
        enough = mark.args if mark is not None else ()
        metafunc.parametrize("start_method", chosen_start_methods(*enough))


@pytest.fixture(autouse=True)
def _nothing_left():
    """After each test: no process, no file and no thread of ours."""
    processes, threads = children(), set(threading.enumerate())
    yield
    prunner.stop_workers()
    assert not children() - processes
    assert not set(threading.enumerate()) - threads
    assert not files_of(os.getpid())
