"""All samples of the suite ``floors``, kept in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.floors.samples import Sample

SUITE = "floors"


@dataclass
class Floors:
    """What was measured.

    Attributes:
        quick: Whether it was a first look only.
        rounds: How many rounds there were to be.
        started: When it began.
        machine: What it ran on.
        probes: What was measured, in this order.
        samples: Each with the number of its round before it.
        failures: What went wrong, by probe, in words.
    """

    quick: bool
    rounds: int
    started: str
    machine: Mapping[str, str]
    probes: Sequence[str]
    samples: list[tuple[int, Sample]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def complete_rounds(self) -> int:
        """How many rounds there were; fewer than asked for where it was stopped."""
        return max((number for number, _ in self.samples), default=0)

    def of(self, point: str) -> list[Sample]:
        """The samples of a point."""
        return [sample for _, sample in self.samples if sample.point == point]

    def write(self, path: Path) -> None:
        """Write all into a JSON file."""
        text = json.dumps({"suite": SUITE, **asdict(self)}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Floors:
        """Read what ``write`` has written."""
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content.pop("suite") == SUITE
        samples = [(number, Sample(*sample)) for number, sample in content.pop("samples")]
        return cls(**content, samples=samples)
