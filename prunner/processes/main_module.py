"""Starts processes that do not import the main module of this one.

Under ``spawn`` and ``forkserver`` Python imports the parent's main module in every new process
before anything else runs there. A worker has no use for it: what is defined there travels by
value (cloudpickle). It costs the import of Kedro's command line for ``kedro run``, a script
without the ``if __name__ == "__main__":`` guard would start itself again, and a main module that
imports Kedro would open, and with mode "w" empty, the project's log files. loky's own start
method leaves it out for the same reasons.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from multiprocessing import spawn
from typing import Any

_here = threading.local()
_names: list[str] = []  # beginnings of the names of processes that others start for us
_lock = threading.Lock()
_users = 0
_original = spawn.get_preparation_data


@contextlib.contextmanager
def not_imported() -> Iterator[None]:
    """Within this context, processes that this thread starts do not import the main module.

    Processes that other threads start at the same time are as they always are.
    """
    with _in_use():
        _here.active = True
        try:
            yield
        finally:
            _here.active = False


@contextlib.contextmanager
def not_imported_by(name: str) -> Iterator[None]:
    """Within this context, processes with such a name do not import the main module.

    Args:
        name: What their names begin with. For those that a library starts, on threads of its own.
    """
    with _in_use():
        _names.append(name)
        try:
            yield
        finally:
            _names.remove(name)


@contextlib.contextmanager
def _in_use() -> Iterator[None]:
    global _users
    with _lock:
        _users += 1
        spawn.get_preparation_data = _preparation_data
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                spawn.get_preparation_data = _original


def _preparation_data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = _original(name)
    if getattr(_here, "active", False) or name.startswith(tuple(_names)):
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data
