"""The measured process: ``python -m benchmarks.peers.child REQUEST.json ANSWER.json``.

What it needs is imported late, as ``spawn`` imports this module in each worker again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What the process shall do.

    Attributes:
        start: The module and the function that starts the peer.
        kind: The kind of graph.
        size: Its size.
        loops: What a CPU-bound node has to do.
        runs: How often the graph is run.
    """

    start: str
    kind: str
    size: int
    loops: int
    runs: int


def main(request: Path, answer: Path) -> None:
    """Do what is asked for in one file, and answer in another."""
    wanted = Request(**json.loads(request.read_text(encoding="utf-8")))
    answer.write_text(json.dumps({"runs": _measure(wanted)}), encoding="utf-8")


def _measure(wanted: Request) -> list[tuple[int, float]]:
    from importlib import import_module
    from time import perf_counter

    from benchmarks.nodes import spin
    from benchmarks.peers.work import Start, Work

    work = Work(wanted.kind, wanted.size, wanted.loops)
    module, _, function = wanted.start.partition(":")
    start: Start = getattr(import_module(f"benchmarks.peers.{module}"), function)
    runs = []
    with start() as run:
        for _ in range(wanted.runs):
            began = perf_counter()
            results = run(work)
            runs.append((work.nodes, perf_counter() - began))
            work.check(results, spin(work.loops) if work.kind == "cpu" else 0)
    return runs


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
