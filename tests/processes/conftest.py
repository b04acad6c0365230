from __future__ import annotations

import os
import threading

import pytest

import prunner
from prunner.options import available_start_methods
from tests.leftovers import children, files_of


def chosen_start_methods() -> list[str]:
    chosen = os.environ.get("PRUNNER_TEST_START_METHODS")
    here = available_start_methods()
    return [m for m in chosen.split(",") if m in here] if chosen else list(here)


def pytest_generate_tests(metafunc):
    if "start_method" in metafunc.fixturenames:
        metafunc.parametrize("start_method", chosen_start_methods())


@pytest.fixture(autouse=True)
def _nothing_left():
    """After each test: no process, no file and no thread of ours."""
    processes, threads = children(), set(threading.enumerate())
    yield
    prunner.stop_workers()
    assert not children() - processes
    assert not set(threading.enumerate()) - threads
    assert not files_of(os.getpid())
