"""The connection between the parent and one worker.

A worker inherits its end of a ``multiprocessing.Pipe`` when it is started: there is no address
at which a stranger could knock, hence nothing to authenticate, and the end of either
process is the end of the stream for the other one.

Covers: sending from any thread, receiving, ends that must not be inherited by others.
Does not cover: what the messages mean (``messages``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import weakref
from multiprocessing.connection import Connection
from typing import Any

# All ends that this process holds. A forked process inherits them all, and while it holds the
# end of somebody else's pipe, that pipe never ends.
_ends: weakref.WeakSet[Connection] = weakref.WeakSet()


class Link:
    """One end of the connection, with a lock around sending.

    Args:
        connection: The end of the pipe.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Any) -> bool:
        """Send a message.

        Returns:
            False if the process at the other end is gone.
        """
        with self._sending:
            try:
                self._connection.send(message)
            except (OSError, EOFError):
                return False
        return True

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            EOFError: If the process at the other end is gone.
        """
        try:
            return self._connection.recv()
        except OSError as error:
            raise EOFError from error

    def close(self) -> None:
        """Let go of this end."""
        with contextlib.suppress(OSError):
            self._connection.close()


def pipe(*, duplex: bool = True) -> tuple[Connection, Connection]:
    """Make the two ends of a connection: the parent's (reading) one and the worker's."""
    ends = multiprocessing.Pipe(duplex=duplex)
    _ends.update(ends)
    return ends


def keep_only(*mine: Connection) -> None:
    """In a worker: close inherited ends of other workers, and let no child inherit its own."""
    for end in list(_ends):
        if end not in mine:
            end.close()
    _ends.clear()
    _ends.update(mine)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    for end in list(_ends):
        with contextlib.suppress(OSError):
            end.close()
    _ends.clear()
