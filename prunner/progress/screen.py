"""The lowest lines of a terminal: written anew below all that is printed.

Whatever is printed goes through here: the lines of the display are erased, the text is written in
their place, and they follow below it again, in one go. So the terminal scrolls as it always does,
nothing is ever written over, and a process that is killed leaves a terminal that works. The cursor
stays visible for the same reason.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from prunner.bridge.forks import no_forks
from prunner.bridge.lines import write_leniently

_ERASE_BELOW = "\x1b[J"


class Screen:
    """A terminal.

    Args:
        stream: Writes to it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # A process that is forked in the middle of a line would find the stream locked.
        self._lock = no_forks
        self._lines: list[str] = []
        self._hidden = 0  # how many want nothing to be shown

    def show(self, lines: Sequence[str]) -> None:
        """Show other lines than before; none if this process is in the background."""
        with self._lock:
            new = list(lines) if not self._hidden and _is_in_foreground(self._stream) else []
            if new != self._lines:
                self._write(self._stream, "", new)

    def write(self, stream: TextIO, text: str) -> None:
        """Write whole lines above what is shown.

        Args:
            stream: Where to; at its end is the same terminal.
            text: The lines.
        """
        with self._lock:
            self._write(stream, text, self._lines)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Within this context nothing is shown: somebody else has the terminal."""
        with self._lock:
            self._write(self._stream, "", [])
            self._hidden += 1
        try:
            yield
        finally:
            with self._lock:
                self._hidden -= 1

    def _write(self, stream: TextIO, text: str, lines: list[str]) -> None:
        erase = ""
        if self._lines:
            up = f"\x1b[{len(self._lines) - 1}A" if len(self._lines) > 1 else ""
            erase = f"\r{up}{_ERASE_BELOW}"
        self._lines = lines
        write_leniently(stream, erase + text + "\n".join(lines))
        stream.flush()


if sys.platform == "win32":

    def _is_in_foreground(stream: TextIO) -> bool:
        return True

else:

    def _is_in_foreground(stream: TextIO) -> bool:
        # What a job in the background writes would come in between what the user types.
        try:
            return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True  # a terminal without jobs
