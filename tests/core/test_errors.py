from __future__ import annotations

import pickle
import signal
import sys

import pytest
from kedro.io import DatasetError

from prunner.errors import (
    DataTransferError,
    NodeTimeout,
    OptionError,
    PipelineFailed,
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
    WorkerDied("node", -9, 4711, peak_memory=1, free_memory=2, out_of_memory=True, frames="f"),
    NodeTimeout("node", 0.5, 4711, "frames"),
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
        (NodeTimeout, WorkerDied),
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
    assert "Something in it ended the process, as os._exit() does." in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WorkerDied("n", -9, 1), "Somebody has ended it: a person, a scheduler, or the system"),
        (WorkerDied("n", -9, 1, out_of_memory=True), "likely to have ended it for lack of memory"),
        (WorkerDied("n", -11, 1), "likely to have crashed in native code"),
        (WorkerDied("n", -11, 1, frames="File x"), "It crashed in native code."),
        (WorkerDied("n", 0xC0000005, 1), "(exit code 0xc0000005). It is likely to have crashed"),
        (WorkerDied("n", None, 1), "likely to have crashed"),
    ],
)
def test_a_death_says_what_is_likely(error, words):
    assert words in str(error)


def test_a_death_tells_memory_and_frames():
    error = WorkerDied("n", -9, 1, peak_memory=3_214_000_000, free_memory=52_000_000, frames="here")
    assert "it used up to 3,214 MB and 52 MB were free." in str(error)
    assert str(error).endswith("In the worker:\nhere")


def test_a_group_of_failures_lists_what_failed_what_was_skipped_and_how_to_go_on():
    failures = {"a": ValueError("wrong"), "b": KeyError("x")}
    text = str(PipelineFailed(failures, ["c", "d"], ["e"], '--from-nodes "a,b"'))
    assert text.splitlines() == [
        "2 nodes failed, 1 completed:",
        "- 'a': ValueError: wrong",
        "- 'b': KeyError: 'x'",
        "Skipped, since they depend on these: 'c', 'd'",
        'To run what is missing, add to the command: --from-nodes "a,b"',
    ]
    assert "Repeat the command" in str(PipelineFailed({"a": ValueError()}))


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
