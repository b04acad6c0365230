"""What the dispatcher of a run on a cluster hears, beside what ``prunner.events`` has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from prunner.cluster.graph import Key


@dataclass(frozen=True, slots=True)
class Heard:
    """A worker has said something."""

    address: str
    post: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A task whose end this process waits for has ended, or never will."""

    key: Key
    status: str


@dataclass(frozen=True, slots=True)
class Due:
    """The time has come to try a step of the main process again."""

    step: int


class Fetched(NamedTuple):
    """Data is here that workers made, or will never be.

    Attributes:
        step: The step of the main process that it is for; ``None`` for the caller of the run.
        error: Why it could not be had.
    """

    step: int | None
    error: BaseException | None
