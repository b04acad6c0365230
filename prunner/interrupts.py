"""Ctrl-C and SIGTERM while a run goes on.

Both end the run by an exception on the main thread, but only where that can be left: not while
workers are started, or put away with what they have written. What comes then is raised afterwards,
and who presses Ctrl-C again and again does not keep the run from tidying up.

Signals that the caller handles himself are left to him.

Covers: when an exception is raised. Does not cover: how workers are ended.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

CALM = 1.0  # seconds after an interrupt in which no other one is raised


class Terminated(KeyboardInterrupt, SystemExit):
    """Somebody has asked this process to end (SIGTERM).

    Whoever handles Ctrl-C handles it alike; if nobody does, the interpreter ends with ``code``.
    """

    def __init__(self, code: int = 128 + signal.SIGTERM) -> None:
        super().__init__("the process was told to end")
        self.code = code


# What each signal does where nobody has said anything else, and what is raised instead.
_DEFAULTS: dict[int, tuple[Any, type[KeyboardInterrupt]]] = {
    signal.SIGINT: (signal.default_int_handler, KeyboardInterrupt),
    signal.SIGTERM: (signal.SIG_DFL, Terminated),
}
if sys.platform == "win32":
    _DEFAULTS[signal.SIGBREAK] = signal.SIG_DFL, KeyboardInterrupt


class Interrupts:
    """Decides when the signals of this process are raised, until the end of the ``with`` block.

    Nothing is done on other threads than the main one, which gets no signals.
    """

    def __init__(self) -> None:
        self._former: dict[int, Any] = {}
        self._may_raise = False
        self._calm_until = 0.0
        self._pending: KeyboardInterrupt | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number, (default, _) in _DEFAULTS.items():
                if signal.getsignal(number) == default:
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if not isinstance(error, KeyboardInterrupt) or (
            isinstance(self._pending, Terminated) and not isinstance(error, Terminated)
        ):
            self._raise_pending()

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """A part of the run that can be left at any time."""
        self._may_raise = True
        try:
            self._raise_pending()
            yield
        finally:
            self._may_raise = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not isinstance(self._pending, Terminated):
            self._pending = _DEFAULTS[number][1]()
        # Whoever presses a key twice means one interrupt; but the first may have been swallowed.
        if self._may_raise and time.monotonic() >= self._calm_until:
            self._calm_until = time.monotonic() + CALM
            self._raise_pending()

    def _raise_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            raise pending
