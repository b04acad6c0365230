from __future__ import annotations

import pickle
import threading
import traceback

import pytest

from prunner.bridge.failure import Failure, RemoteError, RemoteTraceback


class WithAttributes(Exception):
    def __init__(self, message, code=0):
        super().__init__(message)
        self.code = code


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Forgetful(Exception):
    """Unpickles into something else."""

    def __init__(self, what="nothing"):
        super().__init__(f"lost {what}")


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class WithLock(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


def raise_and_catch(error, cause=None):
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def travel(error):
    """The error as it arrives in the parent, by way of a message."""
    return pickle.loads(pickle.dumps(Failure.capture(raise_and_catch(error)))).restore()


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        KeyError("key"),
        OSError(2, "No such file", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        WithAttributes("message"),
        SystemExit(3),
        KeyboardInterrupt(),
        ZeroDivisionError(),
    ],
    ids=repr,
)
def test_an_exception_arrives_as_it_was(error):
    arrived = travel(error)
    assert type(arrived) is type(error)
    assert arrived.args == error.args
    assert str(arrived) == str(error)


def test_attributes_arrive():
    error = WithAttributes("message", code=7)
    error.__dict__["extra"] = [1, 2]
    arrived = travel(error)
    assert (arrived.code, arrived.extra) == (7, [1, 2])
    arrived = travel(OSError(2, "No such file", "name"))
    assert (arrived.errno, arrived.filename) == (2, "name")
    assert travel(SystemExit(3)).code == 3


def test_a_class_of_the_moment_arrives():
    class Local(Exception):
        pass

    arrived = travel(Local("here"))
    assert (type(arrived).__name__, str(arrived)) == ("Local", "here")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TwoArguments("one", "two"), "one and two"),
        (Forgetful("everything"), "lost everything"),
        (WithLock("locked"), "locked"),
    ],
    ids=["two arguments", "arguments not passed on", "unpicklable attribute"],
)
def test_what_pickle_cannot_bring_back_arrives_without_its_init(error, message):
    arrived = travel(error)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args) == (message, error.args)
    assert not hasattr(arrived, "lock")


class SpeaksOfItsLock(Exception):
    """Says something else without the attribute that cannot travel."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def __str__(self):
        return f"locked: {self.lock.locked()}"


def test_what_cannot_travel_is_stood_in_for():
    failure = Failure.capture(raise_and_catch(SpeaksOfItsLock()))
    assert failure.pickled is None
    arrived = failure.restore()
    assert type(arrived) is RemoteError
    assert arrived.type_name == f"{__name__}.SpeaksOfItsLock"
    assert arrived.message == "locked: False"
    assert str(arrived) == f"{arrived.type_name}: locked: False"


def test_an_exception_whose_message_cannot_be_made_arrives():
    arrived = travel(Speechless())
    assert type(arrived) is Speechless
    failure = Failure.capture(raise_and_catch(Speechless()))
    assert failure.message == "<Speechless whose message cannot be made>"
    assert "Speechless" in failure.traceback


def test_what_can_be_unpickled_there_but_not_here_is_stood_in_for():
    failure = Failure(b"not a pickle", "package.Error", "what happened", "Traceback ...")
    arrived = failure.restore()
    assert str(arrived) == "package.Error: what happened"
    assert isinstance(arrived.__cause__, RemoteTraceback)


def test_the_traceback_is_shown_as_the_cause():
    arrived = travel(ValueError("wrong"))
    assert isinstance(arrived.__cause__, RemoteTraceback)
    shown = "".join(traceback.format_exception(arrived))
    assert f'File "{__file__}"' in shown
    assert "in raise_and_catch" in shown
    assert shown.rstrip().endswith("ValueError: wrong")
    assert "direct cause" in shown


def test_causes_and_contexts_are_in_the_traceback():
    inner = raise_and_catch(KeyError("inner"))
    failure = Failure.capture(raise_and_catch(ValueError("outer"), cause=inner))
    assert failure.traceback.index("KeyError: 'inner'") < failure.traceback.index("ValueError: out")
    shown = "".join(traceback.format_exception(failure.restore()))
    assert "KeyError: 'inner'" in shown


def test_an_unpicklable_cause_does_not_keep_the_error_from_travelling():
    inner = raise_and_catch(WithLock("inner"))
    arrived = Failure.capture(raise_and_catch(ValueError("outer"), cause=inner)).restore()
    assert type(arrived) is ValueError
    assert "WithLock: inner" in str(arrived.__cause__)


def test_a_failure_can_be_restored_more_than_once():
    failure = Failure.capture(raise_and_catch(ValueError("wrong")))
    assert failure.restore() is not failure.restore()


@pytest.mark.parametrize("error", [RemoteError("a.B", "message"), RemoteTraceback("text")])
def test_the_stand_ins_can_be_pickled(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
