from __future__ import annotations

import copyreg
import dataclasses
import pickle
import sys
import threading
import traceback

import pytest
from tblib import pickling_support

from prunner.bridge.failure import Failure, Failures, show
from prunner.bridge.forms import PackedException, RemoteError


@pytest.fixture(autouse=True, params=["by itself", "with Dask"])
def _registered(request):
    """Whoever imports Dask has all exceptions pickled by tblib."""
    before = dict(copyreg.dispatch_table)
    for kind in before:
        if isinstance(kind, type) and issubclass(kind, BaseException):
            del copyreg.dispatch_table[kind]
    if request.param == "with Dask":
        pickling_support.install()
    yield
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)


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


class SpeaksOfItsLock(LookupError):
    """Says something else without the attribute that cannot travel."""

    def __init__(self, code):
        super().__init__("code", code)
        self.code = code
        self.lock = threading.Lock()

    def __str__(self):
        return f"locked: {self.lock.locked()}"


class HoldsALock(ValueError):
    """A class that cannot be pickled."""

    __module__ = "__main__"
    lock = threading.Lock()


class Unpicklable(Exception):
    __module__ = "__main__"
    lock = threading.Lock()


class Rude:
    """Cannot be pickled, and not even be shown."""

    def __init__(self):
        self.lock = threading.Lock()

    def __repr__(self):
        raise RuntimeError("the session is closed")


class RudeReduce(Exception):
    def __reduce__(self):
        raise KeyboardInterrupt


class RudeText(Exception):
    def __str__(self):
        raise SystemExit(3)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Slotted(Exception):
    __slots__ = ("code",)
    code: int


class NewWithTwo(Exception):
    second: int

    def __new__(cls, first, second):
        made = super().__new__(cls, first)
        made.second = second
        return made

    def __init__(self, first, second):
        super().__init__(first)


class Counted(Exception):
    made = 0

    def __init__(self, message):
        super().__init__(message)
        Counted.made += 1


def raise_and_catch(error, cause=None):
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def sent(error):
    """The error as a message brings it into the parent."""
    return pickle.loads(pickle.dumps(Failures().capture(error)))


def travel(error):
    return Failures().restore(sent(raise_and_catch(error)))


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


def test_what_cannot_travel_is_stood_in_for_by_a_kind_of_its_class():
    arrived = travel(SpeaksOfItsLock(7))
    assert isinstance(arrived, SpeaksOfItsLock)
    assert isinstance(arrived, RemoteError)
    assert str(arrived) == "locked: False"
    assert (arrived.args, arrived.code) == (("code", 7), 7)
    assert shown(arrived).splitlines()[-1] == f"{__name__}.SpeaksOfItsLock: locked: False"


def test_a_class_that_cannot_travel_is_stood_in_for_by_a_kind_of_its_base():
    arrived = travel(HoldsALock("wrong"))
    assert isinstance(arrived, ValueError)
    assert shown(arrived).splitlines()[-1] == "HoldsALock: wrong"


def test_what_has_no_base_that_says_anything_is_a_remote_error():
    arrived = travel(Unpicklable("wrong"))
    assert type(arrived) is RemoteError
    assert str(arrived) == "__main__.Unpicklable: wrong"


@pytest.mark.parametrize(
    "error",
    [OSError(2, threading.Lock()), SystemExit(threading.Lock()), KeyError(threading.Lock())],
    ids=["OSError", "SystemExit", "KeyError"],
)
def test_arguments_that_cannot_travel_are_described(error):
    arrived = travel(error)
    assert isinstance(arrived, type(error))
    assert str(arrived) == str(error)


def test_an_exception_whose_message_cannot_be_made_arrives():
    assert type(travel(Speechless())) is Speechless
    failure = sent(Speechless())
    assert failure.packed.message == "<Speechless whose message cannot be made>"


def test_what_can_be_unpickled_there_but_not_here_is_stood_in_for():
    packed = PackedException(b"not a pickle", b"", b"", "package.Error", "what happened")
    arrived = Failures().restore(Failure("1", packed, ""))
    assert str(arrived) == "package.Error: what happened"


def test_the_traceback_is_that_of_the_other_process_and_shown_once():
    arrived = raise_and_catch(travel(ValueError("wrong")))
    lines = shown(arrived).splitlines()
    assert sum("raise error from cause" in line for line in lines) == 2  # there and here
    assert lines[0].startswith("Traceback")
    assert sum(line.startswith("Traceback") for line in lines) == 1
    assert lines[-1] == "ValueError: wrong"


def test_an_endless_recursion_is_cut_in_the_middle():
    def deeper():
        deeper()

    try:
        deeper()
    except RecursionError as caught:
        failure = sent(caught)
    arrived = Failures().restore(failure)
    assert 100 < len(traceback.extract_tb(arrived.__traceback__)) <= 200
    assert traceback.extract_tb(arrived.__traceback__)[0].name == (
        "test_an_endless_recursion_is_cut_in_the_middle"
    )


def test_causes_and_contexts_arrive():
    inner = raise_and_catch(WithAttributes("inner", code=3))
    try:
        try:
            raise KeyError("context")
        except KeyError:
            raise ValueError("outer") from inner
    except ValueError as caught:
        arrived = Failures().restore(sent(caught))
    assert isinstance(arrived.__cause__, WithAttributes)
    assert arrived.__cause__.__traceback__ is not None
    assert isinstance(arrived.__context__, KeyError)
    assert arrived.__suppress_context__
    assert "direct cause" in shown(arrived)
    assert "KeyError" not in shown(arrived)


def test_a_context_is_shown_where_there_is_no_cause():
    try:
        try:
            raise KeyError("context")
        except KeyError:
            raise ValueError("outer")  # noqa: B904 - this is the context
    except ValueError as caught:
        arrived = Failures().restore(sent(caught))
    assert arrived.__cause__ is None
    assert "During handling" in shown(arrived)


def test_a_cause_that_cannot_travel_does_not_keep_the_error_from_it():
    inner = raise_and_catch(HoldsALock("inner"))
    arrived = Failures().restore(sent(raise_and_catch(ValueError("outer"), cause=inner)))
    assert type(arrived) is ValueError
    assert str(arrived.__cause__) == "inner"


def test_chains_may_be_long_or_lead_back():
    error: BaseException = ValueError(0)
    for number in range(1, 1000):
        following = ValueError(number)
        following.__cause__ = error
        error = following
    arrived, length = Failures().restore(sent(error)), 0
    while arrived.__cause__ is not None:
        arrived, length = arrived.__cause__, length + 1
    assert 10 < length < 1000
    ring = ValueError("ring")
    ring.__cause__ = ValueError("other")
    ring.__cause__.__cause__ = ring
    arrived = Failures().restore(sent(ring))
    assert str(arrived.__cause__) == "other"
    assert arrived.__cause__.__cause__ is None  # type: ignore[union-attr]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no notes and no groups")
def test_notes_and_groups_arrive():
    first, second = ValueError("first"), HoldsALock("second")
    first.add_note("a note")  # type: ignore[attr-defined]
    arrived = travel(ExceptionGroup("both", [first, ExceptionGroup("inner", [second])]))  # type: ignore[name-defined]  # noqa: F821
    assert type(arrived) is ExceptionGroup  # type: ignore[name-defined]  # noqa: F821
    assert arrived.exceptions[0].__notes__ == ["a note"]
    with pytest.raises(ExceptionGroup) as caught:  # type: ignore[name-defined]  # noqa: F821
        raise arrived
    assert "HoldsALock: second" in shown(caught.value)


def test_an_exception_is_the_same_one_wherever_it_is_seen_again():
    there, here = Failures(), Failures()
    error = raise_and_catch(ValueError("wrong"))
    arrived = here.restore(there.capture(error))
    assert here.restore(there.capture(error)) is arrived
    assert there.restore(here.capture(arrived)) is error
    wrapper = raise_and_catch(KeyError("wrapper"), cause=error)
    assert here.restore(there.capture(wrapper)).__cause__ is arrived
    assert here.restore(Failures().capture(error)) is not arrived


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError(Rude()), ValueError),
        (RudeReduce("text"), RudeReduce),
        (RudeText(threading.Lock()), RudeText),
        (RudeText(), RudeText),
    ],
    ids=["repr", "reduce", "str and argument", "str"],
)
def test_nothing_that_an_exception_does_gets_out(error, kind):
    """In a worker that would end the loop that runs steps."""
    assert isinstance(travel(error), kind)


def test_an_exception_that_holds_itself_arrives():
    error = ValueError("wrong")
    error.args = (error,)
    assert isinstance(travel(error), ValueError)


def test_a_frozen_exception_arrives_with_all_that_is_behind_it():
    arrived = Failures().restore(sent(raise_and_catch(Frozen(3), cause=ValueError("cause"))))
    assert type(arrived) is Frozen
    assert (arrived.code, arrived.args, str(arrived.__cause__)) == (3, (3,), "cause")
    assert arrived.__traceback__ is not None


def test_slots_and_native_attributes_arrive():
    error = Slotted("text")
    error.code = 7
    assert travel(error).code == 7
    try:
        _ = unknown_name  # type: ignore[name-defined]
    except NameError as caught:
        assert Failures().restore(sent(caught)).name == "unknown_name"  # type: ignore[attr-defined]


def test_an_init_of_its_own_is_not_called_again():
    error = Counted("text")
    before = Counted.made
    assert type(travel(error)) is Counted
    assert Counted.made == before


def test_a_new_that_takes_other_arguments_is_no_obstacle():
    arrived = travel(NewWithTwo(1, 2))
    assert type(arrived) is NewWithTwo
    assert (arrived.args, arrived.second) == ((1,), 2)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no groups")
def test_a_group_whose_new_takes_other_arguments_arrives():
    class Errors(ExceptionGroup):  # type: ignore[name-defined, misc]  # noqa: F821
        def __new__(cls, errors, exit_code):
            made = super().__new__(cls, f"exit code: {exit_code}", errors)
            made.exit_code = exit_code
            return made

        def derive(self, excs):
            return Errors(excs, self.exit_code)

    arrived = travel(Errors([ValueError(1), WithLock("two")], 3))
    assert type(arrived).__name__ == "Errors"
    assert arrived.exit_code == 3
    assert [type(each) for each in arrived.exceptions] == [ValueError, WithLock]


def test_what_a_hook_raised_gets_its_context_where_the_node_is():
    there, here = Failures(), Failures()
    raised_here = RuntimeError("hook")
    arrived = there.restore(here.capture(raised_here))
    try:
        try:
            raise ValueError("node")
        except ValueError:
            raise arrived  # noqa: B904 - with a context
    except RuntimeError as caught:
        back = here.restore(there.capture(caught))
    assert back is raised_here
    assert str(back.__context__) == "node"
    assert not back.__suppress_context__


def test_the_stand_in_can_be_pickled():
    error = RemoteError("a.B", "message")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def shown(error):
    return show(error).rstrip()
