"""The node function of all random graphs, its datasets, and data that has faults."""

from __future__ import annotations

import os
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from tests import random_nodes
from tests.chaos.faults import Fault
from tests.random_nodes import Handle

_PRIME = 1_000_003


@dataclass(frozen=True)
class Work:
    """What one node does: an input of it.

    Attributes:
        node: Its name.
        makes: The kind of each of its outputs.
        delay: Seconds that it takes.
        fault: What happens while it runs.
        faults: What happens to its outputs when they are pickled or unpickled, by their position.
    """

    node: str
    makes: tuple[str, ...]
    delay: float = 0.0
    fault: Fault | None = None
    faults: tuple[tuple[int, Fault], ...] = ()


def work(task: Work, *values: Any) -> Any:
    """Make numbers out of numbers, each in the form that is asked for."""
    if task.delay:
        time.sleep(task.delay)
    if task.fault is not None:
        task.fault.strike()
    total = sum(map(ord, task.node))
    for value in values:
        total = (31 * total + number(value)) % _PRIME
    faults = dict(task.faults)
    outputs = [_made(kind, total + i, faults.get(i)) for i, kind in enumerate(task.makes)]
    return outputs[0] if len(outputs) == 1 else outputs or None


class StuckWork:
    """The same as a function that cannot leave the main process."""

    __name__ = "stuck_work"

    def __init__(self) -> None:
        self._handle = Handle(0)

    def __call__(self, *values: Any) -> Any:
        return work(*values)


def _made(kind: str, total: int, fault: Fault | None) -> Any:
    match kind:
        case "array":  # large enough for a file of its own
            return np.arange(3_000, dtype=np.int64) + total
        case "large":  # so large that its file is written over again
            return np.arange(150_000, dtype=np.int64) + total
        case "list":
            return [total, 1, 2]
        case "handle":
            return Handle(total)
        case "parcel":
            return Parcel(total, fault)
        case _:
            return total


def number(value: Any) -> int:
    if isinstance(value, Parcel):
        return value.number
    if isinstance(value, WorkerId):
        return 1
    if isinstance(value, np.ndarray):
        return int(value.sum()) % _PRIME
    return random_nodes.number(value)


class Parcel:
    """A number, and what happens when it is pickled or unpickled in a worker."""

    def __init__(self, number: int, fault: Fault | None) -> None:
        self.number = number
        self._fault = fault

    def __reduce__(self) -> Any:
        _strike_away(self._fault, "pickle")
        return _opened, (self.number, self._fault)


def _opened(number: int, fault: Fault | None) -> Parcel:
    _strike_away(fault, "unpickle")
    return Parcel(number, fault)


def _strike_away(fault: Fault | None, place: str) -> None:
    # The main process may load it, too, at the end of a run.
    if fault is not None and fault.place == place and os.getpid() != fault.main_pid:
        fault.strike()


class FileDataset(AbstractDataset[Any, Any]):
    """A number in a file, and what happens when it is loaded or saved."""

    def __init__(self, filepath: str, fault: Fault | None = None) -> None:
        self._path = Path(filepath)
        self._fault = fault

    def load(self) -> Any:
        self._strike("load")
        return self.peek()

    def save(self, data: Any) -> None:
        self._strike("save")
        self.put(number(data))

    def peek(self) -> Any:
        """What is in the file."""
        return pickle.loads(self._path.read_bytes())

    def put(self, value: int) -> None:
        """Write it, all or nothing: another output may end the process at any time."""
        new = self._path.with_suffix(".new")
        new.write_bytes(pickle.dumps(value))
        new.replace(self._path)

    def _strike(self, place: str) -> None:
        if self._fault is not None and self._fault.place == place:
            self._fault.strike()

    def _exists(self) -> bool:
        return self._path.exists()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


@dataclass(frozen=True)
class WorkerId:
    """Tells a hook in which process a dataset was loaded."""

    pid: int


class WorkerIdDataset(AbstractDataset[Any, Any]):
    def __init__(self) -> None:
        pass

    def load(self) -> WorkerId:
        return WorkerId(os.getpid())

    def save(self, data: Any) -> None:
        raise NotImplementedError

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}
