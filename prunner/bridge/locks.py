"""Who has a data file mapped: locks that last exactly as long as a map.

A private map shows what is written to its file later. So whoever maps a file that may be written
over first takes a shared lock on it. The system keeps such a lock (``flock``) for the opened file,
not for the process: it lasts until the last handle and the last map of that opened file are gone,
those in copies of the process (``fork``) too. Only what can be locked alone is written over.

Linux only; elsewhere nothing is locked, as nothing is written over.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

if sys.platform == "linux":
    import fcntl

if sys.platform == "linux":

    def lock_shared(file: BinaryIO, path: str) -> None:
        """Keep a file from being written over until its handle and all maps of it are closed.

        Raises:
            FileNotFoundError: If it has been released.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileNotFoundError(path) from None  # about to be written over
        # It may have been written over between open() and the lock: then it has another name.
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            raise FileNotFoundError(path)

    def lock_alone(file: BinaryIO) -> bool:
        """Lock a file unless somebody else has locked it.

        Returns:
            Whether it is locked now.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(file: BinaryIO) -> None:
        """End a lock."""
        fcntl.flock(file, fcntl.LOCK_UN)

else:

    def lock_shared(file: BinaryIO, path: str) -> None:
        """Nothing is written over here."""

    def lock_alone(file: BinaryIO) -> bool:
        """Nothing is written over here."""
        return False

    def unlock(file: BinaryIO) -> None:
        """Nothing is locked."""
