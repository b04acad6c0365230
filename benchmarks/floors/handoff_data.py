"""What is handed over, and the nodes that do it; each kind imports its own library."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

_PROBE = 10_000  # rows of a frame that tells the size of a row
_NUMBERS = 3  # columns
_NAMES = 1000  # different strings


class Mark(NamedTuple):
    """When and where something happened.

    Attributes:
        pid: The process.
        seconds: On a clock that all processes of a machine share.
    """

    pid: int
    seconds: float

    @classmethod
    def now(cls) -> Mark:
        """Now and here."""
        return cls(os.getpid(), time.monotonic())


def prepare(kind: str, pause: float) -> bool:
    """Import what the kind needs, and keep a worker busy until the other one does the same."""
    make(kind, _PROBE)
    time.sleep(pause)
    return True


def produce(kind: str, size: int, *prepared: bool) -> tuple[Any, Mark]:
    """Make the data when all are prepared; the mark is of the end of this function."""
    assert all(prepared)
    data = make(kind, size)
    return data, Mark.now()


def consume(data: Any, produced: Mark, pause: float) -> tuple[Mark, Mark, int]:
    """Take the data; the second mark is of the beginning of this function."""
    began = Mark.now()
    time.sleep(pause)
    return produced, began, len(data)


def make(kind: str, size: int) -> Any:
    """Make data of that kind, all of its pages touched.

    Args:
        kind: ``array``, ``pandas``, ``polars``, ``arrow`` or ``million``.
        size: Bytes; of ``million`` the number of objects.
    """
    if kind == "array":
        return np.ones(size // 8)
    if kind == "million":
        return [(number, number / 2) for number in range(size)]
    frame = _FRAMES[kind]
    return frame(size * _PROBE // bytes_of(frame(_PROBE)))


def bytes_of(data: Any) -> int:
    """Say how many bytes the data takes."""
    if hasattr(data, "memory_usage"):
        return int(data.memory_usage(deep=True).sum())
    if hasattr(data, "to_arrow"):
        import polars

        # estimated_size() counts the letters of texts, not what polars holds for each of them.
        newest = polars.CompatLevel.newest()
        return int(data.to_arrow(compat_level=newest).get_total_buffer_size())
    return int(data.nbytes)


def _columns(rows: int) -> dict[str, Any]:
    names = [f"name {number}" for number in range(_NAMES)]
    numbers = {f"number{i}": np.arange(rows, dtype=np.float64) for i in range(_NUMBERS)}
    return {**numbers, "name": (names * (rows // _NAMES + 1))[:rows]}


def _pandas(rows: int) -> Any:
    import pandas

    return pandas.DataFrame(_columns(rows))


def _polars(rows: int) -> Any:
    import polars

    return polars.DataFrame(_columns(rows))


def _arrow(rows: int) -> Any:
    import pyarrow

    return pyarrow.table(_columns(rows))


_FRAMES: dict[str, Callable[[int], Any]] = {"pandas": _pandas, "polars": _polars, "arrow": _arrow}
