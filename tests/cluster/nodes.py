"""Functions for nodes, importable where pytest is not."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

Address = tuple[str, int]


def wait(address: Address, name: str = "") -> int:
    """Come to a meeting, and go on when the test says so, or has ended."""
    with Client(address) as connection:
        connection.send((name, os.getpid()))
        with contextlib.suppress(EOFError):
            connection.recv()
    return os.getpid()


def wait_with(data: Any, address: Address) -> Any:
    wait(address)
    return data


def pid(*_: Any) -> int:
    return os.getpid()


def kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


def add(*values: int) -> int:
    return sum(values)


def counted(path: str) -> int:
    """How often this has been called."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(path).read_text(encoding="utf-8").splitlines())


def fail_twice(path: str) -> int:
    count = counted(path)
    if count <= 2:
        raise ConnectionError(f"try {count}")
    return count


class OrchardError(Exception):
    """Has an attribute, and arguments that its message does not show."""

    def __init__(self, row: int, field: str) -> None:
        super().__init__(row, field)
        self.field = field


def fail(*_: Any) -> None:
    try:
        raise KeyError("apple")
    except KeyError as error:
        raise OrchardError(7, "weight") from error


def log_where(number: int) -> tuple[int, int]:
    logger = logging.getLogger("orchard.nodes")
    for line in range(5):
        logger.warning("number %d line %d", number, line)
    return number, threading.get_ident()


def hang(path: str) -> None:
    """Wait for what never comes, with its process on record."""
    counted(path)
    threading.Event().wait()


def large(count: int) -> Any:
    import numpy as np

    return np.arange(count, dtype="float64")


def total(array: Any) -> tuple[float, int]:
    return float(array.sum()), os.getpid()


class Traced:
    """Knows in which processes it has been unpickled."""

    def __init__(self, *pids: int) -> None:
        self.pids = pids

    def __reduce__(self) -> Any:
        return _unpickled, (self.pids,)

    def __deepcopy__(self, memo: Any) -> Traced:
        return self


def _unpickled(pids: tuple[int, ...]) -> Traced:
    return Traced(*pids, os.getpid())


def traced(*_: Any) -> Traced:
    return Traced()


def pids_of(traced: Traced) -> tuple[int, ...]:
    return (*traced.pids, os.getpid())


def fail_late(address: Address) -> None:
    wait(address)
    fail()


class Kept:
    """Cannot be pickled."""

    value = 5

    def __reduce__(self) -> Any:
        raise TypeError("stays here")

    def __deepcopy__(self, memo: Any) -> Kept:
        return self


def keep(_: Any) -> Kept:
    return Kept()


def value_of(kept: Kept) -> tuple[int, int]:
    return kept.value, os.getpid()


def hang_at_first(path: str) -> int:
    count = counted(path)
    if count == 1:
        threading.Event().wait()
    return count
