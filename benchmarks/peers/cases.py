"""What is measured: each graph, in a process that runs it once and in one that does so again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.peers.work import READERS, Work

COLD, WARM = "cold", "warm"

# In one process; the first of several is not counted.
RUNS = {COLD: 1, WARM: 4}


@dataclass(frozen=True)
class Case:
    """One graph, cold or warm.

    Attributes:
        work: The graph.
        mode: ``cold`` or ``warm``.
    """

    work: Work
    mode: str

    @property
    def name(self) -> str:
        """What the case is called in the results."""
        return f"{self.work.kind}-{self.work.size}-{self.mode}"

    @property
    def title(self) -> str:
        """What the case is, in words."""
        size = self.work.size
        graph = {
            "trivial": f"{size:,} trivial nodes",
            "cpu": f"{size} nodes of about 50 ms of CPU work",
            "array": f"a {size} MB float64 array to {READERS} consumers",
        }[self.work.kind]
        how = "whole process, seconds" if self.mode == COLD else "a later run, seconds"
        return f"{graph}: {self.mode} ({how})"

    @property
    def runs(self) -> int:
        """How often a process runs the graph."""
        return RUNS[self.mode]


def _cases(*works: Work) -> tuple[Case, ...]:
    return tuple(Case(work, mode) for work in works for mode in (COLD, WARM))


FULL = _cases(Work("trivial", 1000), Work("array", 200), Work("cpu", 40))
QUICK = _cases(Work("trivial", 50), Work("array", 50), Work("cpu", 8))


def select(quick: bool, only: Iterable[str]) -> list[Case]:
    """Choose the cases to measure.

    Args:
        quick: Whether to use smaller ones.
        only: Kinds (``trivial``), modes (``warm``) or names (``cpu-40-cold``); empty for all.

    Returns:
        The cases, in the order in which they are measured.

    Raises:
        ValueError: If a name fits no case.
    """
    cases = QUICK if quick else FULL
    wanted = set(only)
    names = {case: {case.work.kind, case.mode, case.name} for case in cases}
    unknown = wanted.difference(*names.values())
    if unknown:
        known = ", ".join(case.name for case in cases)
        raise ValueError(f"Unknown case: {', '.join(sorted(unknown))}. There are: {known}.")
    return [case for case in cases if not wanted or wanted & names[case]]


def mode_of(case: str) -> str:
    """Tell the mode of a case by its name."""
    return case.rpartition("-")[2]
