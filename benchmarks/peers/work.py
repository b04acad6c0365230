"""The graphs, as plain as all libraries can take them, and what has to come out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks.nodes import MEGABYTE

WORKERS = 2
READERS = 4  # nodes that read the array


@dataclass(frozen=True)
class Work:
    """One graph.

    Attributes:
        kind: ``trivial`` and ``cpu`` are independent calls, ``array`` is one node with readers.
        size: The number of nodes; for ``array`` the megabytes.
        loops: What a CPU-bound node has to do.
    """

    kind: str
    size: int
    loops: int = 0

    @property
    def nodes(self) -> int:
        """How many nodes the graph has."""
        return READERS + 1 if self.kind == "array" else self.size

    def check(self, results: Sequence[float], cpu_result: int) -> None:
        """Check the values of all nodes at the end of the graph.

        Args:
            results: These values.
            cpu_result: What a CPU-bound node gives.

        Raises:
            AssertionError: If there is a wrong one, or one too few.
        """
        expected = {
            "trivial": (self.size, 2),
            "cpu": (self.size, cpu_result),
            "array": (READERS, self.size * MEGABYTE // 8),
        }[self.kind]
        found = [float(result) for result in results]
        count, value = expected
        assert found == [float(value)] * count, f"wrong results: {found[:5]}, {len(found)} of them"


# Runs a graph and gives the values of all nodes at its end.
Run = Callable[[Work], Sequence[float]]

# Starts a library for the rest of the process, as far as that is possible.
Start = Callable[[], AbstractContextManager[Run]]
