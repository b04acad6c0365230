"""A real pseudo-terminal, and what is to be seen on it, now and above."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte

# The process gets the terminal as its own, so that a Ctrl-C that is typed there reaches it.
_OWN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class PseudoTerminal:
    """Runs a process on a terminal.

    Args:
        arguments: Of Python.
        folder: Where it runs.
        environment: Its environment.
        rows: How high the terminal is.
        columns: How wide.
    """

    def __init__(
        self,
        arguments: list[str],
        folder: Path,
        environment: dict[str, str],
        rows: int = 24,
        columns: int = 80,
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=100_000)
        self._stream = pyte.ByteStream(self._screen)
        self._seen = b""
        self._end, their_end = pty.openpty()
        fcntl.ioctl(their_end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._settings = self._settings_left = self._settings_now()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OWN, *arguments],
            cwd=folder,
            env={**environment, "TERM": "xterm-256color"},
            stdin=their_end,
            stdout=their_end,
            stderr=their_end,
            start_new_session=True,
        )
        os.close(their_end)

    @property
    def is_sane(self) -> bool:
        """Whether the cursor can be seen, at the beginning of a line, and echo is as before."""
        cursor = self._screen.cursor
        return not cursor.hidden and cursor.x == 0 and self._settings_left == self._settings

    def type(self, keys: str) -> None:
        """Type something."""
        os.write(self._end, keys.encode())

    def wait_for(self, is_there: Callable[[str], bool]) -> None:
        """Wait until something can be seen."""
        while not is_there("\n".join(self.rows)):
            assert self._read(), f"the process has ended:\n{self.text}"

    def finish(self) -> int:
        """Wait until the process has ended; its exit code."""
        while self._read():
            pass
        self._settings_left = self._settings_now()
        os.close(self._end)
        return self._process.wait()

    @property
    def rows(self) -> list[str]:
        """What is on the screen."""
        return [row.rstrip() for row in self._screen.display]

    @property
    def text(self) -> str:
        """What is on the screen and above, with lines that were too long for it as they were."""
        width = self._screen.columns
        above = ["".join(row[x].data for x in range(width)) for row in self._screen.history.top]
        rows = [*above, *self._screen.display]
        return "".join(row if row[-1] != " " else row.rstrip() + "\n" for row in rows)

    @property
    def seen(self) -> bytes:
        """All that was written to it."""
        return self._seen

    def _settings_now(self) -> list[Any]:
        return termios.tcgetattr(self._end)  # echo and the like

    def _read(self) -> bool:
        try:
            data = os.read(self._end, 1 << 16)
        except OSError:  # on Linux, the end
            return False
        self._seen += data
        self._stream.feed(data)
        return bool(data)
