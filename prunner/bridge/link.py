"""The connection between the parent and one worker.

A worker inherits its end of a ``multiprocessing.Pipe`` when it is started: there is no address
at which a stranger could knock, hence nothing to authenticate, and the end of either
process is the end of the stream for the other one.

Covers: sending from any thread, receiving, ends that must not be inherited by others. A process
that a node forks has no link: its writes would come in between those of the worker.
Does not cover: what the messages mean (``messages``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import threading
import weakref
from collections.abc import Iterable
from typing import Any

End = Any  # multiprocessing's Connection, which is a PipeConnection on Windows

# A forked process inherits all ends, and while it holds the end of somebody else's pipe, that
# pipe never ends. So no child keeps this process's own ends, and a worker only its own two.
_own_ends: weakref.WeakSet[End] = weakref.WeakSet()
_worker_ends: weakref.WeakSet[End] = weakref.WeakSet()
_links: weakref.WeakSet[Link] = weakref.WeakSet()


class Link:
    """One end of the connection, with a lock around sending.

    Args:
        connection: The end of the pipe.
    """

    def __init__(self, connection: End) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        _links.add(self)

    def send(self, message: Any) -> bool:
        """Send a message.

        Returns:
            False if the process at the other end is gone, or this process is a fork of the one
            that the link belongs to.
        """
        # Not connection.send(): its pickler is made for locks and sockets, and takes much longer.
        pickled = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            try:
                self._connection.send_bytes(pickled)
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

    def _let_go(self) -> None:
        # The lock may be held for ever: by a thread that was sending, and is not in the fork.
        self._sending = threading.Lock()
        self.close()


def connect() -> tuple[End, End]:
    """Make the two ends of a connection: this process's and the worker's."""
    own, workers = multiprocessing.Pipe()
    _own_ends.add(own)
    _worker_ends.add(workers)
    return own, workers


def one_way() -> tuple[End, End]:
    """Make a pipe to a worker: the end to keep, which ends with this process, and the worker's."""
    workers, own = multiprocessing.Pipe(duplex=False)
    _own_ends.add(own)
    _worker_ends.add(workers)
    return own, workers


def keep_only(*mine: End) -> None:
    """In a worker: let go of ends that were made for other workers."""
    _close_all(end for end in list(_worker_ends) if end not in mine)
    _worker_ends.clear()
    _own_ends.clear()
    _own_ends.update(mine)


def _close_all(ends: Iterable[End]) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.close()


def _forked() -> None:
    _close_all(list(_own_ends))
    for link in list(_links):
        link._let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
