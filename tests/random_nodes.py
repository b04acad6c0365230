"""Functions and classes for random pipelines: importable in a worker without pytest or Hypothesis.

Every function takes any number of whole numbers, lists, arrays and handles, and makes
something of them that depends on each one and on its position.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_PRIME = 1_000_003
logger = logging.getLogger(__name__)


class Handle:
    """Something that cannot leave its process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()


class Stuck:
    """A node function that cannot leave its process."""

    __name__ = "stuck"

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, *values: Any) -> int:
        with self.lock:
            return join(*values) + 7


class NodeFailed(Exception):
    """An exception that pickles and cannot be unpickled, as many of users' own."""

    def __init__(self, first: int, second: int) -> None:
        self.numbers = first, second
        super().__init__(f"a node failed with {first} and {second}")


def number(value: Any) -> int:
    if isinstance(value, Handle):
        return value.number
    if isinstance(value, (list, np.ndarray)):
        weights = range(1, 1 + len(value))
        return sum(w * int(v) for w, v in zip(weights, value, strict=True)) % _PRIME
    return int(value)


def join(*values: Any) -> int:
    logger.info("joining %d values", len(values))
    total = 1
    for value in values:
        total = (31 * total + number(value)) % _PRIME
    return total


def one(*values: Any) -> int:
    return join(*values) + 1


def two(*values: Any) -> tuple[int, list[int]]:
    total = join(*values)
    return total + 2, [total, total + 1, len(values)]


def three(*values: Any) -> tuple[int, int, list[int]]:
    total = join(*values)
    return total + 3, total + 4, [total, *range(total % 5)]


def array(*values: Any) -> Any:
    """Large enough for a file of its own."""
    return np.arange(2_500, dtype=np.int64) + join(*values)


def overwrite(*values: Any) -> int:
    """Change everything in place; another node that loads the same must not see it."""
    total = join(*values)
    for value in values:
        if isinstance(value, np.ndarray):
            value += 1
        elif isinstance(value, list):
            value.append(total)
    return total


def chunks(*values: Any) -> Iterator[int]:
    """A generator node: each chunk is saved, the last one stays in memory."""
    total = join(*values)
    for chunk in range(3):
        yield total + chunk


def handle(*values: Any) -> Handle:
    return Handle(join(*values))


def consume(*values: Any) -> None:
    join(*values)


def fail(*values: Any) -> None:
    raise ValueError(f"a node failed with {join(*values)}")


def fail_in_a_chain(*values: Any) -> None:
    try:
        try:
            fail(*values)
        except ValueError as error:
            raise KeyError("the cause") from error
    except KeyError:
        raise NodeFailed(1, 2)  # noqa: B904 - with a context


def fail_late(*values: Any) -> Iterator[int]:
    """Fails in a process that has saved something already."""
    yield join(*values)
    raise ValueError("a node failed in the middle")


def fail_strangely(*values: Any) -> None:
    raise NodeFailed(join(*values), len(values))


# What each function makes: for how many outputs.
MAKERS: dict[int, tuple[Callable[..., Any], ...]] = {
    0: (consume,),
    1: (one, array, overwrite, chunks),
    2: (two,),
    3: (three,),
}
