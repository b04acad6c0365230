"""Whether there is a terminal to show something on, and how it is taken over and given back.

While it is taken, everything that Python code prints goes through one place (``screen``):
``sys.stdout`` and ``sys.stderr``, the handlers of ``logging`` that write to either, and ``input``.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from prunner.bridge.lines import LineStream
from prunner.processes import tree
from prunner.progress.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

_NAMES = ("stdout", "stderr")
_claimed = threading.Lock()  # of two runs in threads, one has the terminal


class Terminal:
    """A terminal on which lines are shown below all that is printed.

    Args:
        stream: Writes to it.
        console: Knows what it can show.

    Attributes:
        screen: Its lowest lines.
        console: The same console.
    """

    def __init__(self, stream: TextIO, console: Console) -> None:
        self.screen = Screen(stream)
        self.console = console
        self._streams: dict[str, LineStream] = {}

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Within this context all that is printed goes above the lines that are shown."""
        for name in _NAMES:
            real = getattr(sys, name)
            if _is_terminal(real):
                self._streams[name] = LineStream(real, partial(self.screen.write, real))
        with contextlib.ExitStack() as stack:
            stack.callback(self._give_back)
            stack.enter_context(_replaced(builtins, "input", self._asking(builtins.input)))
            for name, stream in self._streams.items():
                stack.enter_context(_replaced(sys, name, stream))
                for handler in _handlers_of(stream.real):
                    stack.enter_context(_redirected(handler, stream))
            yield

    def _give_back(self) -> None:
        with contextlib.suppress(OSError, ValueError), self.screen.hidden():
            self._let_through()

    def _let_through(self) -> None:
        for stream in self._streams.values():
            if held := stream.switch_off():
                self.screen.write(stream.real, held)

    def _asking(self, ask: Callable[..., str]) -> Callable[..., str]:
        """A question, which debuggers ask, too: nothing is shown until it has been answered."""
        process = os.getpid()

        @functools.wraps(ask)
        def asking(*args: Any) -> str:
            if os.getpid() != process:
                return ask(*args)
            with self.screen.hidden():
                self._let_through()
                try:
                    return ask(*args)
                finally:
                    for stream in self._streams.values():
                        stream.switch_on()

        return asking


@contextlib.contextmanager
def claimed(wanted: bool | None) -> Iterator[Terminal | None]:
    """Have the terminal to oneself, if there is one that can be drawn on.

    Args:
        wanted: False if nothing is to be shown; ``None`` if that depends on where this runs.

    Yields:
        The terminal; ``None`` if there is none, or another run of this process has it.
    """
    console = None if wanted is False else _console(wanted)
    if console is None or not _claimed.acquire(blocking=False):
        yield None
        return
    try:
        yield Terminal(sys.stdout, console)
    finally:
        _claimed.release()


def is_possible(wanted: bool | None) -> bool:
    """Whether something will probably be shown.

    Args:
        wanted: As for ``claimed``.
    """
    return wanted is not False and _console(wanted) is not None


def _console(wanted: bool | None) -> Console | None:
    """What the terminal can show; ``None`` if nothing."""
    is_worker = tree.MARK in os.environ  # whose terminal is that of its parent
    if not _is_terminal(sys.stdout) or is_worker or (wanted is None and "CI" in os.environ):
        return None
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if console.is_jupyter or console.is_dumb_terminal or console.legacy_windows:
        return None
    return console if console.is_terminal else None


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


@contextlib.contextmanager
def _replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    former = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        if getattr(owner, name) is new:  # else somebody has put something else there
            setattr(owner, name, former)


def _handlers_of(stream: Any) -> list[logging.StreamHandler[Any]]:
    """Handlers that got this stream when they were made, and write to it ever since."""
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    loggers = [each for each in known if isinstance(each, logging.Logger)]
    return [
        handler
        for handler in dict.fromkeys(each for logger in loggers for each in logger.handlers)
        if isinstance(handler, logging.StreamHandler) and vars(handler).get("stream") is stream
    ]


@contextlib.contextmanager
def _redirected(handler: logging.StreamHandler[Any], stream: LineStream) -> Iterator[None]:
    handler.setStream(stream)
    try:
        yield
    finally:
        if handler.stream is stream:
            handler.setStream(stream.real)
