from __future__ import annotations

import pickle
import signal
import sys

import pytest
from kedro.io import DatasetError

from prunner.errors import (
    DataTransferError,
    OptionError,
    PrunnerError,
    WorkerDied,
    WorkerError,
    WorkerStartError,
)

EVERY = [
    PrunnerError("message"),
    OptionError("message"),
    DataTransferError("message"),
    WorkerError("message"),
    WorkerStartError("my_project", "ImportError: no module", "Traceback ..."),
    WorkerStartError(None, "the process ended (exit code 1)"),
    WorkerDied("node", -9, 4711),
    WorkerDied(None, None, None),
]


@pytest.mark.parametrize("error", EVERY, ids=repr)
def test_every_error_survives_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (OptionError, ValueError),
        (DataTransferError, DatasetError),
        (WorkerStartError, RuntimeError),
        (WorkerDied, RuntimeError),
    ],
)
def test_errors_can_be_caught_by_what_they_are(kind, builtin):
    assert issubclass(kind, builtin)
    assert issubclass(kind, PrunnerError)


def test_a_death_names_the_node_the_process_and_the_way_to_go_on():
    text = str(WorkerDied("split_data", 3, 4711))
    assert "4711" in text
    assert "while it ran node 'split_data'" in text
    assert "(exit code 3)" in text
    assert "memory" in text
    assert "SequentialRunner" in text


def test_a_death_between_nodes_says_so():
    assert "between two nodes (exit code 0)" in str(WorkerDied(None, 0, 4711))
    assert "(exit code unknown)" in str(WorkerDied(None, None, 4711))


@pytest.mark.skipif(sys.platform == "win32", reason="exit codes are no signals there")
def test_a_signal_is_named():
    assert "(signal SIGKILL)" in str(WorkerDied("n", -signal.SIGKILL, 1))
    assert "(signal SIGSEGV)" in str(WorkerDied("n", -signal.SIGSEGV, 1))


def test_a_signal_without_a_name_is_a_number():
    assert "(signal 999)" in str(WorkerDied("n", -999, 1))


def test_a_failed_start_names_the_package_the_cause_and_the_way_to_go_on():
    text = str(WorkerStartError("my_project", "ImportError: no module x", "Traceback of it"))
    assert "could not set up the project 'my_project': ImportError: no module x" in text
    assert "settings.py" in text
    assert text.endswith("In the worker:\nTraceback of it")


def test_a_failed_start_without_a_project_says_what_to_check():
    text = str(WorkerStartError(None, "the process ended (exit code 1)"))
    assert "could not start: the process ended (exit code 1)" in text
    assert "can import prunner" in text
    assert "In the worker" not in text
