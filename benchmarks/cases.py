"""What is measured: the kinds of pipelines and their sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WARM = "warm"
NOTHING = "nothing"

WARM_START = 10


@dataclass(frozen=True)
class Case:
    """One pipeline to measure.

    Attributes:
        kind: The kind of pipeline, see ``workloads.build``; ``demo`` has its own project.
        size: The number of nodes; for ``array`` the megabytes.
        kedro_size: A smaller size for Kedro's ``ParallelRunner``, if it needs one.
        repeats: How often a ``warm`` process of prunner repeats each run.
        most_rounds: How many rounds of it there are at most, if it takes very long.
        quick_demo: Whether the demo runs with less work in its nodes.
        subjects: Names of the only subjects to measure; empty for all.
    """

    kind: str
    size: int = 0
    kedro_size: int | None = None
    repeats: int = 1
    quick_demo: bool = False
    subjects: tuple[str, ...] = ()
    most_rounds: int | None = None

    @property
    def name(self) -> str:
        """What the case is called in the results."""
        return f"{self.kind}-{self.size}" if self.kind in ("trivial", "chain", "cpu") else self.kind

    @property
    def title(self) -> str:
        """What the case is, in words."""
        return {
            "trivial": f"{self.size} independent trivial nodes",
            "chain": f"a chain of {self.size} trivial nodes",
            "cpu": f"{self.size} independent nodes of about 50 ms of CPU work",
            "array": f"a {self.size} MB numpy array made by one node and read by four",
            "demo": "the demo project, run with the kedro command"
            + (" and --env=quick" if self.quick_demo else ""),
            NOTHING: "a single trivial node, with which the memory of all others is compared",
            WARM: "cost of a further trivial node, start-up taken out",
        }[self.kind]

    def includes(self, subject: str, number: int) -> bool:
        """Say whether a subject is to be measured in the round of that number."""
        late = self.most_rounds is not None and number > self.most_rounds
        return not late and (not self.subjects or subject in self.subjects)


_NOTHING = Case(NOTHING, 1, subjects=("sequential",))

FULL = (
    _NOTHING,
    Case("trivial", 10),
    Case("trivial", 100),
    Case("trivial", 1000),
    Case("chain", 100),
    Case("cpu", 40),
    Case("array", 200),
    Case("demo", most_rounds=2),
    Case(WARM, 1000, kedro_size=50, repeats=3),
)

QUICK = (
    _NOTHING,
    Case("cpu", 8),
    Case("array", 50),
    # The start methods that exist everywhere; the others would take another minute.
    Case("demo", quick_demo=True, subjects=("sequential", "prunner loky", "kedro spawn")),
    Case(WARM, 1000, kedro_size=40),
)


def select(quick: bool, only: Iterable[str]) -> tuple[Case, ...]:
    """Choose the cases to measure.

    Args:
        quick: Whether to use fewer and smaller ones.
        only: Names (``trivial-10``) or kinds (``trivial``) to keep; empty for all.

    Returns:
        The cases, in the order in which they are measured.

    Raises:
        ValueError: If a name fits no case.
    """
    cases = QUICK if quick else FULL
    wanted = set(only)
    unknown = wanted - {case.name for case in cases} - {case.kind for case in cases}
    if unknown:
        known = ", ".join(case.name for case in cases)
        raise ValueError(f"Unknown case: {', '.join(sorted(unknown))}. There are: {known}.")
    kept = wanted | {NOTHING}
    return tuple(case for case in cases if not wanted or kept & {case.name, case.kind})
