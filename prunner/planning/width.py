"""How many steps of a graph can run at the same time at most.

That number is the size of the largest antichain. By Dilworth's theorem it equals the smallest
number of chains that cover all steps, which bipartite matching on the transitive closure
finds (Fulkerson, 1956). Sets of steps are the bits of an int.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence


def width(parents: Sequence[frozenset[int]], chosen: Sequence[int], limit: int) -> int:
    """The largest number of chosen steps that can ever run at the same time.

    Args:
        parents: Direct dependencies of each step, in topological order.
        chosen: The steps to count, ascending.
        limit: Numbers above it need not be told apart.

    Returns:
        The width, at most ``limit``.
    """
    if _widest_level(parents, chosen) >= limit:
        return limit
    cover = _ChainCover(_ancestors(parents, chosen))
    chains = sum(not cover.append(step) for step in chosen)
    return min(chains, limit)


def _widest_level(parents: Sequence[frozenset[int]], chosen: Sequence[int]) -> int:
    levels: list[int] = []
    for above in parents:
        levels.append(1 + max((levels[parent] for parent in above), default=0))
    return max(Counter(levels[step] for step in chosen).values(), default=0)


def _ancestors(parents: Sequence[frozenset[int]], chosen: Sequence[int]) -> list[int]:
    mask = sum(1 << step for step in chosen)
    ancestors: list[int] = []
    for above in parents:
        reach = 0
        for parent in above:
            reach |= ancestors[parent] | (mask & (1 << parent))
        ancestors.append(reach)
    return ancestors


class _ChainCover:
    """As few chains as possible; steps are appended one by one in topological order."""

    def __init__(self, ancestors: Sequence[int]) -> None:
        self._ancestors = ancestors
        self._follower: dict[int, int] = {}
        self._leader: dict[int, int] = {}
        self._ends = 0

    def append(self, step: int) -> bool:
        """Put a step behind another one; False if it had to begin a chain of its own."""
        found = self._augment(step)
        self._ends |= 1 << step
        return found

    def _augment(self, step: int) -> bool:
        # Breadth-first search for an alternating path: a step that wants a leader may take
        # one that is followed already, if that follower finds another leader.
        wanted_by: dict[int, int] = {}
        visited = 0
        queue = [step]
        for seeker in queue:
            candidates = self._ancestors[seeker] & ~visited
            free = candidates & self._ends
            if free:
                self._hand_over(free.bit_length() - 1, seeker, step, wanted_by)
                return True
            visited |= candidates
            for leader in _bits(candidates):
                wanted_by[leader] = seeker
                queue.append(self._follower[leader])
        return False

    def _hand_over(self, leader: int, seeker: int, step: int, wanted_by: dict[int, int]) -> None:
        self._ends &= ~(1 << leader)
        while seeker != step:
            freed = self._leader[seeker]
            self._join(leader, seeker)
            leader, seeker = freed, wanted_by[freed]
        self._join(leader, step)

    def _join(self, leader: int, follower: int) -> None:
        self._follower[leader] = follower
        self._leader[follower] = leader


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
