"""What the samples say: medians, ratios, and whether a target is met. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.floors.points import POINTS, Point
from benchmarks.floors.records import Floors
from benchmarks.floors.samples import Sample
from benchmarks.summary import Spread


@dataclass(frozen=True)
class Verdict:
    """A point and what was found.

    Attributes:
        point: The point.
        limit: The limit, in seconds or bytes.
        figure: prunner's figure, in the same unit.
        ratios: The figure of each sample by its own limit.
    """

    point: Point
    limit: Spread
    figure: Spread
    ratios: Sequence[float]

    @property
    def ratio(self) -> Spread:
        """The median of the ratios, and their range."""
        found = Spread.of(self.ratios)
        assert found is not None
        return found

    @property
    def met(self) -> bool | None:
        """Whether the target is met; ``None`` if there is none."""
        return None if self.point.target is None else self.ratio.median <= self.point.target

    @property
    def word(self) -> str:
        """The same in a word."""
        return {True: "met", False: "not met", None: "-"}[self.met]


def judge(point: Point, samples: Sequence[Sample]) -> Verdict | None:
    """Judge a point.

    Args:
        point: The point.
        samples: Its samples.

    Returns:
        The verdict; ``None`` if there is no sample that says anything.
    """
    # A difference of two times can be nothing or less, if it is smaller than the noise.
    known = [sample for sample in samples if sample.limit > 0]
    limit = Spread.of(sample.limit for sample in known)
    figure = Spread.of(sample.figure for sample in known)
    if limit is None or figure is None:
        return None
    return Verdict(point, limit, figure, [sample.figure / sample.limit for sample in known])


def judge_all(floors: Floors) -> list[Verdict]:
    """Judge all points that were measured, in their order."""
    found = (judge(point, floors.of(point.name)) for point in POINTS)
    return [verdict for verdict in found if verdict is not None]


def by_group(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """Sort verdicts by the group of their points."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.point.group, []).append(verdict)
    return groups
