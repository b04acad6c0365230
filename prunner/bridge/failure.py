"""Exceptions on their way from one process to another.

An exception is pickled, and unpickled for a test, in the process that raised it: one that
does not survive that would break the connection, or lose its message, on the other side.
"""

from __future__ import annotations

import contextlib
import pickle
import traceback
from dataclasses import dataclass
from typing import Any

import cloudpickle


class RemoteTraceback(Exception):
    """The traceback of another process, shown as the cause of the exception that was raised."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class RemoteError(RuntimeError):
    """Stands in for an exception that cannot be pickled or unpickled.

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
        pickled: The exception, ``None`` where it cannot be pickled and unpickled.
        type_name: Full name of its class.
        message: ``str()`` of it.
        traceback: The formatted traceback of the process that raised it.
    """

    pickled: bytes | None
    type_name: str
    message: str
    traceback: str

    @classmethod
    def capture(cls, error: BaseException) -> Failure:
        """Pack an exception that was caught in this process."""
        kind = type(error)
        return cls(
            pickled=_pickle(error),
            type_name=f"{kind.__module__}.{kind.__qualname__}",
            message=_text(error),
            traceback="".join(traceback.format_exception(kind, error, error.__traceback__)),
        )

    def restore(self) -> BaseException:
        """The exception again, caused by the traceback of the process that raised it."""
        error: BaseException
        try:
            if self.pickled is None:
                raise ValueError(self.type_name)
            error = pickle.loads(self.pickled)
        except Exception:
            error = RemoteError(self.type_name, self.message)
        error.__cause__ = RemoteTraceback(self.traceback)
        return error


class _WithoutInit:
    """Pickles an exception so that its ``__init__`` is not called when it is unpickled.

    An exception unpickles by a call of its class with ``args``, which fails where ``__init__``
    takes other arguments than it passes on. Attributes that cannot be pickled are left out.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        state = {k: v for k, v in self._error.__dict__.items() if _can_be_pickled(v)}
        return _rebuild, (type(self._error), self._error.args, state)


def _rebuild(
    kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]
) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def _can_be_pickled(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True


def _pickle(error: BaseException) -> bytes | None:
    for form in (error, _WithoutInit(error)):
        with contextlib.suppress(Exception):
            pickled: bytes = cloudpickle.dumps(form)
            # One that comes back as something else has not survived either.
            again = pickle.loads(pickled)
            if type(again).__qualname__ == type(error).__qualname__ and _text(again) == _text(
                error
            ):
                return pickled
    return None


def _look(error: BaseException) -> tuple[str, str]:
    return type(error).__qualname__, _text(error)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} whose message cannot be made>"
