"""The measured process: ``python -m benchmarks.reliability.child REQUEST.json ANSWER.json``.

What it needs is imported late, as ``spawn`` imports this module in each worker again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What the process shall do.

    Attributes:
        probe: The module and the function that measures.
        runner: Which runner.
        others: How many other nodes there are.
        seconds: How long each of them takes.
        action: How a run is stopped.
        native: Whether its nodes hold the interpreter.
        patience: After how many seconds what is still there is given up.
    """

    probe: str
    runner: str
    others: int
    seconds: float
    action: str
    native: bool
    patience: float


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        figures: Figures by names that tell the unit.
        words: How it ended.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    words: str = ""


def main(request_file: Path, answer_file: Path) -> None:
    """Do what is asked for in one file, and answer in another."""
    request = Request(**json.loads(request_file.read_text(encoding="utf-8")))
    module, _, function = request.probe.partition(":")
    probe = getattr(import_module(f"benchmarks.reliability.{module}"), function)
    answer_file.write_text(json.dumps(asdict(probe(request))), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
