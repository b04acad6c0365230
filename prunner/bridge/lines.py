"""A stand-in for ``sys.stdout`` or ``sys.stderr`` that hands on whole lines.

Covers: lines, processes that are forked meanwhile, everything else that a stream can do (which the
stream itself does). Does not cover: where the lines go.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import Any, TextIO


class LineStream(io.TextIOBase):
    """Takes what is printed, and hands it on line by line.

    Other code may keep it for longer than it is wanted: once switched off, and in processes that
    are forked, it writes to the stream itself.

    Args:
        real: The stream that it stands in for.
        take: Takes whole lines, with their ends.

    Attributes:
        real: The same stream.
    """

    def __init__(self, real: TextIO, take: Callable[[str], Any]) -> None:
        self.real = real
        self._take = take
        self._lock = threading.RLock()  # a handler of a signal may print, too
        self._held: list[str] = []  # of a line that has not ended
        self._process = os.getpid()
        self._is_on = True

    def write(self, text: str) -> int:
        """Take text; the part of it that is no whole line waits for the rest."""
        if not self._is_active():
            return self.real.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        end = lines = ""
        with self._lock:
            self._held.append(text)
            if "\n" in text or "\r" in text:
                lines, end, rest = "".join(self._held).rpartition("\n")
                # A line that is written over and over again, as progress bars do.
                begin = max(0, rest.rfind("\r", 0, -1))
                self._held = [rest[begin:]] if rest else []
        if end:
            self._take(lines + end)
        return len(text)

    def flush(self) -> None:
        """Nothing waits but the beginning of a line, which is for its end."""
        if not self._is_active():
            self.real.flush()

    def end_line(self) -> None:
        """Hand on a line that has not ended as if it had."""
        with self._lock:
            held, self._held = "".join(self._held), []
        if held and self._is_active():
            self._take(held + "\n")

    def switch_off(self) -> str:
        """From now on write to the stream itself.

        Returns:
            The beginning of a line that has not ended.
        """
        with self._lock:
            held, self._held = "".join(self._held), []
            self._is_on = False
        return held

    def switch_on(self) -> None:
        """Hand on lines again."""
        self._is_on = True

    def _is_active(self) -> bool:
        return self._is_on and os.getpid() == self._process

    # io.TextIOBase has its own answers to these.

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the stream says."""
        return self.real.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """As the stream says."""
        return self.real.errors

    @property
    def newlines(self) -> Any:  # type: ignore[override]
        """As the stream says."""
        return self.real.newlines

    def fileno(self) -> int:
        """As the stream says."""
        return self.real.fileno()

    def isatty(self) -> bool:
        """As the stream says."""
        return self.real.isatty()

    def writable(self) -> bool:
        """As the stream says."""
        return self.real.writable()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def write_leniently(stream: TextIO, text: str) -> None:
    """Write text, and what cannot be encoded as escapes.

    Args:
        stream: Where to.
        text: What.
    """
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
