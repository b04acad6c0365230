"""What a benchmark found: every single measurement, kept in a JSON file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OK = "ok"
FAILED = "failed"
LIMIT = "limit"
SKIPPED = "skipped"


@dataclass(frozen=True)
class Measurement:
    """One process that was measured.

    Attributes:
        round: Number of the round, from 1.
        case: Name of the case.
        subject: Name of the subject.
        status: ``ok``, ``failed``, ``limit`` (ended, as it took too long) or ``skipped``.
        wall: Seconds of the whole process.
        peak: The most bytes of memory that its tree of processes had at once.
        left_behind: How many processes outlived it and had to be ended.
        runs: Number of nodes and seconds of each call of ``run``.
        message: The last line of output, unless all went well.
        figures: What else was measured, by names that tell the unit.
        words: What else there is to say of it.
    """

    round: int
    case: str
    subject: str
    status: str
    wall: float
    peak: int = 0
    left_behind: int = 0
    runs: tuple[tuple[int, float], ...] = ()
    message: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    words: str = ""


@dataclass
class Results:
    """All measurements of one suite.

    Attributes:
        suite: Name of the suite.
        quick: Whether it was a first look only.
        rounds: How many rounds there were to be.
        limit: After how many seconds a process was ended.
        started: When it began.
        machine: What it ran on.
        cases: The cases by name, in words.
        measurements: The measurements, in the order in which they were made.
    """

    suite: str
    quick: bool
    rounds: int
    limit: float
    started: str
    machine: Mapping[str, str]
    cases: Mapping[str, str]
    measurements: list[Measurement] = field(default_factory=list)

    @property
    def complete_rounds(self) -> int:
        """How many rounds there were; fewer than asked for where it was stopped."""
        return max((one.round for one in self.measurements), default=0)

    def write(self, path: Path) -> None:
        """Write all into a JSON file."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what ``write`` has written."""
        content = json.loads(path.read_text(encoding="utf-8"))
        measurements = [_measurement(one) for one in content.pop("measurements")]
        return cls(**content, measurements=measurements)


def _measurement(content: dict[str, Any]) -> Measurement:
    runs = tuple((int(count), float(seconds)) for count, seconds in content.pop("runs"))
    return Measurement(**content, runs=runs)


def show(found: Measurement, rounds: int) -> None:
    """Say on the terminal how a measurement went."""
    word = "" if found.status == OK else f"  {found.status}: {found.message}"
    left = f"  ({found.left_behind} processes left behind)" if found.left_behind else ""
    print(
        f"round {found.round}/{rounds}  {found.case:18} {found.subject:20} "
        f"{found.wall:7.2f} s{left}{word}",
        file=sys.stderr,
        flush=True,
    )
