"""What a probe is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Request:
    """What a measured process shall do.

    Attributes:
        probe: Name of the probe.
        quick: Whether a first look is enough.
        round: Number of the round, from 1.
        rounds: How many rounds there are.
    """

    probe: str
    quick: bool
    round: int
    rounds: int

    @property
    def repeats(self) -> int:
        """How often a probe that takes a few seconds measures in one process."""
        return 2 if self.quick else 3


class Sample(NamedTuple):
    """The limit and prunner's figure, measured one right after the other.

    Attributes:
        point: Name of the point.
        limit: Seconds or bytes.
        figure: The same unit.
    """

    point: str
    limit: float
    figure: float


Probe = Callable[[Request], Iterator[Sample]]
