"""Exceptions on their way from one process to another.

An exception is pickled, and unpickled for a test, in the process that raised it: one that
does not survive that would break the connection, or lose its message, on the other side. Its
traceback, its cause and its context go with it, so that it is shown as if it had been raised
here. One that comes back to the process that sent it is the same object again.

Covers: exceptions, their chains, groups and tracebacks, and stand-ins for what cannot travel.
Does not cover: which node was concerned (``phases``).
"""

from __future__ import annotations

import itertools
import os
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import cloudpickle
import tblib

_LONGEST_CHAIN = 20  # causes of causes
_MOST_FRAMES = 200  # of which an endless recursion has more than anybody reads

_numbers = itertools.count()


class RemoteError(Exception):
    """Stands in for an exception that cannot be pickled or unpickled.

    Where the original class can travel, the stand-in is of a class derived from both, so that
    ``except`` finds it. Attributes that cannot be pickled are missing.

    Args:
        type_name: Full name of the original class.
        message: The original message.
    """

    def __init__(self, type_name: str, message: str) -> None:
        self.type_name = type_name
        self.message = message
        super().__init__(type_name, message)

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception, ready to travel.

    Attributes:
        key: The same for the same exception, wherever it goes.
        pickled: The exception, None where it cannot be pickled and unpickled.
        kind: Its class or, where that cannot travel, the nearest base that can; pickled.
        rest: For a stand-in: its arguments and attributes, as far as they can travel; pickled.
        type_name: Full name of its class.
        message: ``str()`` of it.
        frames: Its traceback, one line for each frame.
        cause: Its ``__cause__``.
        context: Its ``__context__``.
        suppress_context: Whether the context is not to be shown.
        members: What an exception group holds.
    """

    key: str
    pickled: bytes | None
    kind: bytes
    rest: bytes
    type_name: str
    message: str
    frames: str
    cause: Failure | None = None
    context: Failure | None = None
    suppress_context: bool = False
    members: tuple[Failure, ...] = ()


class Failures:
    """Turns exceptions into what can travel, and back, and knows them again.

    One for each step on either side: what it has seen it keeps.
    """

    def __init__(self) -> None:
        self._seen: dict[str, BaseException] = {}

    def capture(self, error: BaseException) -> Failure:
        """Pack an exception that was caught in this process."""
        return self._capture(error, {}, _LONGEST_CHAIN)

    def restore(self, failure: Failure) -> BaseException:
        """The exception again, with the traceback of the process that raised it."""
        if failure.key in self._seen:
            return self._seen[failure.key]
        members = [self.restore(each) for each in failure.members]
        error = _rebuild(failure, members)
        self._seen[failure.key] = error
        error.__traceback__ = _traceback(failure.frames)
        error.__cause__ = self.restore(failure.cause) if failure.cause else None
        error.__context__ = self.restore(failure.context) if failure.context else None
        error.__suppress_context__ = failure.suppress_context
        return error

    def _capture(
        self, error: BaseException, packed: dict[int, Failure | None], depth: int
    ) -> Failure:
        packed[id(error)] = None  # a chain that leads back to it ends here

        def follow(other: BaseException | None) -> Failure | None:
            if other is None or not depth:
                return None
            if id(other) not in packed:
                packed[id(other)] = self._capture(other, packed, depth - 1)
            return packed[id(other)]

        members = [follow(each) for each in _members(error)]
        kind = type(error)
        pickled = _pickled(error)
        failure = Failure(
            key=self._key(error),
            pickled=pickled,
            kind=b"" if pickled else _pickled_kind(kind),
            rest=b"" if pickled else cloudpickle.dumps((_args(error), _state(error))),
            type_name=f"{kind.__module__}.{kind.__qualname__}",
            message=_text(error),
            frames=_frames(error.__traceback__),
            cause=follow(error.__cause__),
            context=follow(error.__context__),
            suppress_context=error.__suppress_context__,
            members=tuple(each for each in members if each is not None),
        )
        packed[id(error)] = failure
        return failure

    def _key(self, error: BaseException) -> str:
        for key, known in self._seen.items():
            if known is error:
                return key
        key = f"{os.getpid()}-{next(_numbers)}"
        self._seen[key] = error
        return key


def show(error: BaseException) -> str:
    """The traceback of an exception, and those behind it, as Python prints them."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


class _WithoutInit:
    """Pickles an exception so that its ``__init__`` is not called when it is unpickled.

    An exception unpickles by a call of its class with ``args``, which fails where ``__init__``
    takes other arguments than it passes on. Attributes that cannot be pickled are left out.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_without_init, (type(self._error), self._error.args, _state(self._error))


class _Group:
    """Pickles an exception group as a function that makes it of its members."""

    def __init__(self, error: Any) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _GroupMaker, (type(self._error), self._error.message, _state(self._error))


@dataclass(frozen=True)
class _GroupMaker:
    kind: type[BaseException]
    message: str
    state: dict[str, Any]

    def __call__(self, members: list[BaseException]) -> BaseException:
        group = self.kind.__new__(self.kind, self.message, members)
        group.__dict__.update(self.state)
        return group


def _made_without_init(
    kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]
) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def _state(error: BaseException) -> dict[str, Any]:
    return {name: value for name, value in error.__dict__.items() if _can_travel(value)}


def _args(error: BaseException) -> tuple[Any, ...]:
    return tuple(arg if _can_travel(arg) else repr(arg) for arg in error.args)


def _can_travel(value: Any) -> bool:
    return _survives(value, lambda _: True) is not None


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return tuple(getattr(error, "exceptions", ())) if _is_group(error) else ()


def _is_group(error: BaseException) -> bool:
    # Python 3.10 has none; a backport of it is a class of its own, and pickled like any other.
    return any(base.__name__ == "BaseExceptionGroup" for base in type(error).__mro__)


def _pickled(error: BaseException) -> bytes | None:
    if _is_group(error):
        return _survives(_Group(error), lambda again: isinstance(again, _GroupMaker))
    wanted = _look(error)
    for form in (error, _WithoutInit(error)):
        # One that comes back as something else has not survived either.
        pickled = _survives(form, lambda again: _look(again) == wanted)
        if pickled is not None:
            return pickled
    return None


def _pickled_kind(kind: type[BaseException]) -> bytes:
    for base in kind.__mro__:
        pickled = _survives(base, lambda again: isinstance(again, type))
        if pickled is not None:
            return pickled
    raise AssertionError("object can be pickled")


def _survives(value: Any, is_right: Callable[[Any], bool]) -> bytes | None:
    try:
        pickled: bytes = cloudpickle.dumps(value)
        return pickled if is_right(pickle.loads(pickled)) else None
    except (Exception, SystemExit):
        return None


def _rebuild(failure: Failure, members: list[BaseException]) -> BaseException:
    if failure.pickled is not None:
        try:
            error = pickle.loads(failure.pickled)
            error = error(members) if isinstance(error, _GroupMaker) else error
        except (Exception, SystemExit):
            error = None
        if isinstance(error, BaseException):
            return error
    return _stand_in(failure)


def _stand_in(failure: Failure) -> BaseException:
    try:
        kind = pickle.loads(failure.kind)
        args, state = pickle.loads(failure.rest)
        if kind in (object, BaseException, Exception):
            raise TypeError(kind)  # says nothing of the original
        module, _, name = failure.type_name.rpartition(".")
        bases = (kind, RemoteError) if issubclass(kind, Exception) else (kind,)
        derived = type(name, bases, {"__module__": module, "__str__": lambda _: failure.message})
        error: BaseException = kind.__new__(derived)
        error.args = args
        error.__dict__.update({"type_name": failure.type_name, "message": failure.message, **state})
    except (Exception, SystemExit):
        return RemoteError(failure.type_name, failure.message)
    return error


def _look(error: BaseException) -> tuple[str, str]:
    return type(error).__qualname__, _text(error)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} whose message cannot be made>"


def _frames(tb: TracebackType | None) -> str:
    found = traceback.StackSummary.extract(traceback.walk_tb(tb), lookup_lines=False)
    if len(found) > _MOST_FRAMES:
        found[_MOST_FRAMES // 2 : -_MOST_FRAMES // 2] = []
    return "".join(f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' for f in found)


def _traceback(frames: str) -> TracebackType | None:
    if not frames:
        return None
    made: TracebackType | None = tblib.Traceback.from_string(frames, strict=False).as_traceback()
    return made
