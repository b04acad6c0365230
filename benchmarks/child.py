"""The measured process: ``python -m benchmarks.child REQUEST.json ANSWER.json``.

It makes a pipeline and a catalog, runs them, checks the outputs, and writes down how long the
calls of ``run`` took. What it needs is imported late, as ``spawn`` imports this module in each
worker again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedro.runner import AbstractRunner

# More processes than that cannot be waited for at once on Windows.
_MOST_WORKERS = 61


@dataclass(frozen=True)
class Request:
    """What the process shall do.

    Attributes:
        kind: The kind of pipeline.
        sizes: One run is made for each of these sizes, in this order.
        unrecorded: How many runs at the beginning are not written down.
        loops: What a CPU-bound node has to do.
        runner: Which runner.
        method: Its start method.
        workers: How many workers it has; ``None`` for one for each CPU.
    """

    kind: str
    sizes: tuple[int, ...]
    unrecorded: int
    loops: int
    runner: str
    method: str
    workers: int | None = None


def main(request: Path, answer: Path) -> None:
    """Do what is asked for in one file, and answer in another.

    The answer has the number of nodes and the seconds of each run.
    """
    wanted = Request(**json.loads(request.read_text(encoding="utf-8")))
    from benchmarks.running import seconds_of
    from benchmarks.workloads import build

    work = [build(wanted.kind, size, wanted.loops) for size in wanted.sizes]
    runner = _make_runner(wanted)
    runs = [(len(one.pipeline.nodes), seconds_of(runner, one)) for one in work]
    answer.write_text(json.dumps({"runs": runs[wanted.unrecorded :]}), encoding="utf-8")


def _make_runner(wanted: Request) -> AbstractRunner:
    import os

    from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

    import prunner

    workers = wanted.workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    if wanted.runner == "prunner":
        return prunner.ParallelRunner(workers, start_method=wanted.method)
    if wanted.runner == "kedro":
        return ParallelRunner(workers)
    return SequentialRunner() if wanted.runner == "sequential" else ThreadRunner(workers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
