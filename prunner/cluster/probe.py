"""What a worker is asked before a run: which files and which source it sees."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import NamedTuple

from prunner.cluster.source import digest_of, own_package_folder


class Ancestor(NamedTuple):
    """The lowest folder above a file that exists.

    Attributes:
        path: Its path.
        identity: What tells it from another folder at the same path; the number of its inode.
    """

    path: str
    identity: int


class Seen(NamedTuple):
    """What a worker sees.

    Attributes:
        host: Name of its machine.
        unseen: Names of datasets whose folder is another one there, or none.
        digest: Of the source of the project's package; ``None`` without one.
    """

    host: str
    unseen: tuple[str, ...]
    digest: str | None


def ancestor_of(path: str) -> Ancestor:
    """The lowest folder above a file that exists."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return Ancestor(folder, _identity(folder) or 0)


def look(ancestors: Mapping[str, Ancestor], package: str | None) -> Seen:
    """Say what this process sees.

    Args:
        ancestors: The folders of datasets with local files, as the client sees them.
        package: The project's package.
    """
    unseen = [n for n, (path, identity) in ancestors.items() if _identity(path) != identity]
    folder = None if package is None else own_package_folder(package)
    digest = None if folder is None else digest_of(folder)
    return Seen(socket.gethostname(), tuple(unseen), digest)


def _identity(path: str) -> int | None:
    # The number of an inode is the same on every machine that mounts the file system.
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
