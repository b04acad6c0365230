"""Exceptions on their way from one process to another.

An exception is pickled, and unpickled for a test, in the process that raised it: one that
does not survive that would break the connection, or lose its message, on the other side. Its
traceback, its cause and its context go with it, so that it is shown as if it had been raised
here. One that comes back to the process that sent it is the same object again.

Covers: chains, groups, tracebacks, identity.
Does not cover: how one exception is pickled (``forms``), which node was concerned (``phases``).
"""

from __future__ import annotations

import itertools
import os
import threading
import traceback
from types import TracebackType
from typing import Any, NamedTuple

import tblib

from prunner.bridge.forms import PackedException, members_of, pack_exception, unpack_exception

_LONGEST_CHAIN = 50  # causes of causes
_MOST_FRAMES = 200  # of which an endless recursion has more than anybody reads

_numbers = itertools.count()


class Failure(NamedTuple):
    """An exception, ready to travel.

    Attributes:
        key: The same for the same exception, wherever it goes.
        packed: The exception itself.
        frames: Its traceback, one line for each frame.
        cause: Its ``__cause__``.
        context: Its ``__context__``.
        suppress_context: Whether the context is not to be shown.
        members: What an exception group holds.
    """

    key: str
    packed: PackedException
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
        """Pack an exception that was caught in this process; this itself raises nothing."""
        try:
            return self._capture(error, {}, _LONGEST_CHAIN)
        except BaseException as fault:
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            text = f"the exception could not be described ({type(fault).__name__})"
            packed = PackedException(None, b"", b"", kind, text)
            return Failure(self._key(error), packed, _frames(error.__traceback__))

    def restore(self, failure: Failure) -> BaseException:
        """The exception again, with the traceback of the process that raised it."""
        error = self._seen.get(failure.key)
        if error is None:
            members = [self.restore(each) for each in failure.members]
            error = unpack_exception(failure.packed, members)
            self._seen[failure.key] = error
            BaseException.with_traceback(error, _traceback(failure.frames))
            _set(error, "__suppress_context__", failure.suppress_context)
        # One that a hook has raised has got its context in the process of the node.
        for name, behind in (("__cause__", failure.cause), ("__context__", failure.context)):
            if behind is not None and getattr(error, name) is None:
                suppress = error.__suppress_context__
                _set(error, name, self.restore(behind))
                _set(error, "__suppress_context__", suppress)
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

        members = [follow(each) for each in members_of(error)]
        failure = Failure(
            key=self._key(error),
            packed=pack_exception(error),
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


def _set(error: BaseException, name: str, value: Any) -> None:
    # Past a __setattr__ that refuses, as that of a frozen dataclass.
    BaseException.__dict__[name].__set__(error, value)


def show(error: BaseException) -> str:
    """The traceback of an exception, and those behind it, as Python prints them."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _frames(tb: TracebackType | None) -> str:
    found = traceback.StackSummary.extract(traceback.walk_tb(tb), lookup_lines=False)
    if len(found) > _MOST_FRAMES:
        found[_MOST_FRAMES // 2 : -_MOST_FRAMES // 2] = []
    return "".join(f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' for f in found)


def _traceback(frames: str) -> TracebackType | None:
    if not frames:
        return None
    made: list[TracebackType | None] = []
    # On a thread of its own: frames made here would refer to those of all callers, and so to the
    # exception itself. A run that fails would keep its data until garbage is collected.
    thread = threading.Thread(target=lambda: made.append(_make(frames)), name="prunner-traceback")
    thread.start()
    thread.join()
    return made.pop() if made else None


def _make(frames: str) -> TracebackType | None:
    found: TracebackType | None = tblib.Traceback.from_string(frames, strict=False).as_traceback()
    return found
