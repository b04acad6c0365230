"""What nodes print in workers, on its way to the streams of the parent.

That is done only while the parent shows the progress of the run on its terminal: a worker has
inherited the terminal, and would write into the middle of it. What is written by other code than
Python's (C libraries, processes that a node starts) goes there all the same.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from prunner.bridge.lines import LineStream, write_leniently
from prunner.bridge.messages import Printed

_STREAMS = ("stdout", "stderr")


class PrintRelay:
    """In a worker: sends what is printed, or lets it be printed here.

    Args:
        send: Takes messages.
    """

    def __init__(self, send: Callable[[Printed], Any]) -> None:
        self._send = send
        self._streams: dict[str, LineStream] = {}
        for name in _STREAMS:
            if isinstance(stream := getattr(sys, name), LineStream):
                setattr(sys, name, stream.real)  # the parent's, in a process that was forked

    def switch(self, is_on: bool) -> None:
        """Begin or stop to send what is printed."""
        if is_on and not self._streams:
            for name in _STREAMS:
                if (real := getattr(sys, name)) is not None:  # as without a console on Windows
                    self._streams[name] = LineStream(real, partial(self._relay, name))
                    setattr(sys, name, self._streams[name])
        elif not is_on:
            while self._streams:
                name, stream = self._streams.popitem()
                stream.end_line()
                stream.switch_off()
                if getattr(sys, name) is stream:
                    setattr(sys, name, stream.real)

    def _relay(self, name: str, text: str) -> None:
        self._send(Printed(name, text))


def end_lines() -> None:
    """Whatever has been printed is seen, and not lost if this process is killed later."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            if isinstance(stream, LineStream):
                stream.end_line()
            else:
                stream.flush()


def print_here(printed: Printed) -> None:
    """In the parent: print what a worker has sent. A terminal that is gone is no matter of a run.

    Args:
        printed: What it is.
    """
    stream = getattr(sys, printed.stream)
    with contextlib.suppress(AttributeError, OSError, ValueError):
        write_leniently(stream, printed.text)
