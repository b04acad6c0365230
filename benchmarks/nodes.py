"""Node functions: in an importable module of their own, as every start method needs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MEGABYTE = 1_000_000


def trivial(value: int) -> int:
    """Do as good as nothing."""
    return value + 1


def spin(loops: int) -> int:
    """Keep one thread of one CPU busy, in pure Python."""
    value = 1
    for _ in range(loops):
        value = (value * 1_103_515_245 + 12_345) % 2_147_483_648
    return value


def make_array(megabytes: int) -> Array:
    """Make an array of that size, all ones."""
    return np.ones(megabytes * MEGABYTE // 8, dtype=np.float64)


def total(array: Array) -> float:
    """Read the whole array once."""
    return float(array.sum())


def bound(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """Give a function its first arguments; Kedro warns of a ``partial`` that has no name."""
    return update_wrapper(partial(function, *arguments), function)


def calibrate(seconds: float) -> int:
    """Say with how many loops ``spin`` takes that long on this machine.

    Args:
        seconds: How long it shall take.

    Returns:
        A number of loops.
    """
    probe = 20_000
    # The fastest of many short ones: what else runs on the machine only ever makes them slower.
    return max(1, round(probe * seconds / min(_seconds_of_spin(probe) for _ in range(50))))


def _seconds_of_spin(loops: int) -> float:
    start = perf_counter()
    spin(loops)
    return perf_counter() - start
