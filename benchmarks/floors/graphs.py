"""Random layered graphs with durations, and the time that no schedule can beat. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST, _MOST = 50, 500  # nodes
_LAYERS = (3, 15)
_PARENTS = (1, 3)
_TAIL = 1.5  # exponent of the durations: the mean is finite, the variance is not


@dataclass(frozen=True)
class Graph:
    """Nodes, each of which comes after its parents.

    Attributes:
        seconds: How long each takes.
        parents: For each the indices of those that it waits for, all smaller than its own.
    """

    seconds: Sequence[float]
    parents: Sequence[tuple[int, ...]]

    @property
    def critical_path(self) -> float:
        """Seconds of the longest path."""
        ends: list[float] = []
        for own, parents in zip(self.seconds, self.parents, strict=True):
            ends.append(own + max((ends[parent] for parent in parents), default=0.0))
        return max(ends)

    def lower_bound(self, workers: int) -> float:
        """Seconds that it takes at least with this many workers."""
        return max(sum(self.seconds) / workers, self.critical_path)

    def scaled(self, factor: float) -> Graph:
        """The same graph with longer or shorter nodes."""
        return Graph([one * factor for one in self.seconds], self.parents)


def random_graph(seed: int, workers: int, bound: float) -> Graph:
    """Make a random graph.

    Args:
        seed: The same one gives the same graph.
        workers: How many workers there will be.
        bound: Its lower bound in seconds with as many workers.

    Returns:
        A graph of 50 to 500 nodes in 3 to 15 layers, with durations that have a heavy tail.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret)
    count, layers = chance.randint(_FEWEST, _MOST), chance.randint(*_LAYERS)
    starts = [0, *sorted(chance.sample(range(1, count), layers - 1)), count]
    parents: list[tuple[int, ...]] = [()] * starts[1]
    for before, start, end in zip(starts, starts[1:], starts[2:], strict=False):
        parents += [_parents(chance, before, start) for _ in range(start, end)]
    seconds = [chance.paretovariate(_TAIL) for _ in range(count)]
    graph = Graph(seconds, parents)
    return graph.scaled(bound / graph.lower_bound(workers))


def _parents(chance: random.Random, start: int, end: int) -> tuple[int, ...]:
    """Choose parents: one from the layer before, the others from anywhere above."""
    first = chance.randrange(start, end)
    others = [chance.randrange(end) for _ in range(chance.randint(*_PARENTS) - 1)]
    return tuple(sorted({first, *others}))
