"""What is measured: the cases and their sizes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Case:
    """One kind of load.

    Attributes:
        name: What the case is called in the results.
        words: What it is, with a place for its size.
        probe: The module and the function that measures it.
        size: How much of it.
        quick_size: How much is enough for a first look.
    """

    name: str
    words: str
    probe: str
    size: int
    quick_size: int

    @property
    def title(self) -> str:
        """What the case is, in words."""
        return self.words.format(self.size)


FULL = (
    Case("nodes", "{:,} trivial nodes in layers and chains", "graphs:many_nodes", 20_000, 400),
    Case("failure", "{:,} nodes, one of which raises", "graphs:failure", 5_000, 400),
    Case("alive", "{:,} arrays of 20 KB alive at once", "datasets:alive", 5_000, 100),
    Case("inputs", "a node that reads {:,} arrays of 20 KB", "datasets:inputs", 5_000, 100),
    Case(
        "outputs",
        "a node with {:,} outputs, and one that reads them",
        "datasets:outputs",
        10_000,
        200,
    ),
    Case(
        "names", "odd names of datasets and nodes, up to {} characters", "datasets:names", 300, 300
    ),
    Case("workers", "{} workers at once", "processes:many_workers", 64, 4),
    Case("soak", "{} runs in one process, workers kept", "soak:kept", 200, 20),
    Case("soak-fresh", "{} runs in one process, new workers for each", "soak:fresh", 30, 5),
    Case("commands", "{} times `kedro run` of a project at once", "processes:commands", 4, 2),
)
QUICK = tuple(replace(case, size=case.quick_size) for case in FULL)


def select(quick: bool, only: Iterable[str]) -> list[Case]:
    """Choose the cases to measure.

    Args:
        quick: Whether to use smaller ones.
        only: Names; empty for all.

    Returns:
        The cases, in the order in which they are measured.

    Raises:
        ValueError: If a name fits no case.
    """
    cases, wanted = QUICK if quick else FULL, set(only)
    unknown = wanted - {case.name for case in cases}
    if unknown:
        known = ", ".join(case.name for case in cases)
        raise ValueError(f"Unknown case: {', '.join(sorted(unknown))}. There are: {known}.")
    return [case for case in cases if not wanted or case.name in wanted]
