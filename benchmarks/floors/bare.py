"""The limits: what the same work takes without a pipeline, measured in the same process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
from loky import ProcessPoolExecutor

_MEMORY_FOLDER = "/dev/shm"  # noqa: S108 (where prunner's data goes too)


class BareLoky:
    """A loky executor with warm workers.

    Args:
        workers: How many it has.
    """

    def __init__(self, workers: int) -> None:
        self._executor = ProcessPoolExecutor(max_workers=workers)
        self.seconds(100, nothing)

    def __enter__(self) -> BareLoky:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown()

    def seconds(self, count: int, function: Callable[..., Any], *arguments: Any) -> float:
        """Time this many calls, all submitted at once, until the last result is here."""
        start = perf_counter()
        futures = [self._executor.submit(function, *arguments) for _ in range(count)]
        for future in futures:
            future.result()
        return perf_counter() - start


def nothing() -> None:
    """The work of a bare call."""


class BareMemory:
    """Two buffers whose pages are there, and a folder in memory.

    Args:
        size: Bytes of each buffer.
    """

    def __init__(self, size: int) -> None:
        self._source = np.ones(size, dtype=np.uint8)
        self._target = np.ones(size, dtype=np.uint8)

    def seconds_of_copy(self) -> float:
        """Time one memcpy from one buffer to the other."""
        start = perf_counter()
        np.copyto(self._target, self._source)
        return perf_counter() - start

    def seconds_of_write(self) -> float:
        """Time the ``write()`` of a buffer into a fresh file."""
        base = _MEMORY_FOLDER if os.path.isdir(_MEMORY_FOLDER) else None
        with tempfile.TemporaryDirectory(prefix="prunner-benchmark-", dir=base) as folder:
            with Path(folder, "data").open("wb", buffering=0) as file:
                start = perf_counter()
                left = self._source.data
                while left:
                    left = left[file.write(left) :]
                return perf_counter() - start
