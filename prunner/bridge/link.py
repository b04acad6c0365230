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
import struct
import sys
import threading
import weakref
from collections import deque
from typing import Any

from prunner.bridge.forks import no_forks

_PIECE = 1 << 16  # bytes
# Before each message, where the system has streams: what is no message is noticed by it.
_HEADER = struct.Struct("!4sQ")
_MAGIC = b"prnr"

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
        self._arrived: deque[bytes] = deque()
        self._incomplete = bytearray()
        self._needed = 1  # bytes that have to be there before it is worth a look
        _links.add(self)

    def send(self, message: Any) -> bool:
        """Send a message.

        Returns:
            False if the process at the other end is gone, or this process is a fork of the one
            that the link belongs to.
        """
        # Not connection.send(): its pickler is made for locks and sockets, and takes much longer.
        to_wire = getattr(message, "to_wire", None)
        wire = message if to_wire is None else to_wire()
        pickled = pickle.dumps(wire, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            try:
                self._write(pickled)
            except (OSError, EOFError):
                return False
        return True

    def _write(self, pickled: bytes) -> None:
        if sys.platform == "win32":
            self._connection.send_bytes(pickled)
        else:
            left = memoryview(_HEADER.pack(_MAGIC, len(pickled)) + pickled)
            descriptor = self._connection.fileno()
            while left:
                left = left[os.write(descriptor, left) :]

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            EOFError: If the process at the other end is gone.
            Exception: If what has arrived is no message.
        """
        try:
            while not self._arrived:
                self._read()
        except OSError as error:
            raise EOFError from error
        return unpacked(self._arrived.popleft())

    def _read(self) -> None:
        """Take all that has arrived, in one go where the system allows it."""
        if sys.platform == "win32":
            self._arrived.append(self._connection.recv_bytes())
        else:
            while len(self._incomplete) < self._needed:
                data = os.read(self._connection.fileno(), _PIECE)
                if not data:
                    raise EOFError
                self._incomplete += data
            self._split()

    def _split(self) -> None:
        """Note the messages that are complete, and how much has to arrive for the next one."""
        received = bytes(self._incomplete)
        begin = 0
        while (place := _message_at(received, begin)) is not None and place[1] <= len(received):
            self._arrived.append(received[slice(*place)])
            begin = place[1]
        del self._incomplete[:begin]
        self._needed = len(self._incomplete) + 1 if place is None else place[1] - begin

    def close(self) -> None:
        """Let go of this end."""
        close(self._connection)

    def _let_go(self) -> None:
        # The lock may be held for ever: by a thread that was sending, and is not in the fork.
        self._sending = threading.Lock()
        self.close()


def unpacked(pickled: bytes) -> Any:
    """The message that a link at the other end has sent as these bytes."""
    wire = pickle.loads(pickled)
    if type(wire) is tuple:
        # Kedro may not be imported before a worker is set up, and nothing is a tuple till then.
        from prunner.bridge.messages import from_wire

        return from_wire(wire)
    return wire


def _message_at(received: bytes, begin: int) -> tuple[int, int] | None:
    """Where a message begins and ends behind its header, ``None`` if that has not arrived."""
    start = begin + _HEADER.size
    if len(received) < start:
        return None
    magic, size = _HEADER.unpack_from(received, begin)
    if magic != _MAGIC:
        raise ValueError("something that is no message has been written into the pipe")
    return start, start + size


def connect() -> tuple[End, End]:
    """Make the two ends of a connection: this process's and the worker's."""
    with no_forks:
        own, workers = multiprocessing.Pipe()
        _own_ends.add(own)
        _worker_ends.add(workers)
    return own, workers


def one_way() -> tuple[End, End]:
    """Make a pipe to a worker: the end to keep, which ends with this process, and the worker's."""
    with no_forks:
        workers, own = multiprocessing.Pipe(duplex=False)
        _own_ends.add(own)
        _worker_ends.add(workers)
    return own, workers


def keep_from_children(end: End) -> None:
    """Let no forked process have this end of a pipe."""
    _own_ends.add(end)


def keep_only(*mine: End) -> None:
    """In a worker: let go of ends that were made for other workers."""
    for end in list(_worker_ends):
        if end not in mine:
            close(end)
    _worker_ends.clear()
    _own_ends.clear()
    _own_ends.update(mine)


def close(end: End) -> None:
    """Close an end of a pipe."""
    with no_forks, contextlib.suppress(OSError):
        end.close()


def _forked() -> None:
    for end in list(_own_ends):
        close(end)
    for link in list(_links):
        link._let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
