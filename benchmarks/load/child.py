"""The measured process: ``python -m benchmarks.load.child REQUEST.json ANSWER.json``.

What it needs is imported late, as ``spawn`` imports this module in each worker again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

# Names of figures that have columns of their own.
TIME = "time, s"
SEQUENTIAL = "SequentialRunner, s"
PEAK = "peak of the parent, MB"


@dataclass(frozen=True)
class Request:
    """What the process shall do.

    Attributes:
        probe: The module and the function that measures.
        size: How much of it.
    """

    probe: str
    size: int


def main(request_file: Path, answer_file: Path) -> None:
    """Do what is asked for in one file, and answer in another: figures by their names."""
    request = Request(**json.loads(request_file.read_text(encoding="utf-8")))
    module, _, function = request.probe.partition(":")
    probe = getattr(import_module(f"benchmarks.load.{module}"), function)
    figures = probe(request.size)

    import prunner
    from benchmarks.load.watch import check_nothing_is_left

    prunner.stop_workers()
    check_nothing_is_left()
    answer_file.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
