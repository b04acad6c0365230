"""Functions for the nodes of the tests: importable in a worker without pytest."""

from __future__ import annotations

import os
from typing import Any


def identity(value: Any) -> Any:
    return value


def add(*values: Any) -> Any:
    return sum(values)


def worker_pid(*_: Any) -> int:
    return os.getpid()


def fail(*_: Any) -> None:
    raise ValueError("a node failed")
