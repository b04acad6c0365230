"""Exceptions on their way from one process to another.

An exception is pickled, and unpickled for a test, in the process that raised it: one that
does not survive that would break the connection, or lose its message, on the other side.
"""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass

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


def _pickle(error: BaseException) -> bytes | None:
    try:
        pickled: bytes = cloudpickle.dumps(error)
        again = pickle.loads(pickled)
    except Exception:
        return None
    # An __init__ that does not pass its arguments on unpickles into something else.
    same = type(again).__qualname__ == type(error).__qualname__ and _text(again) == _text(error)
    return pickled if same else None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} whose message cannot be made>"
