"""A script that runs a pipeline for a minute: ``python -m benchmarks.reliability.script ...``.

Its arguments are the folder for marks, the runner, and whether nodes hold the interpreter.
"""

from __future__ import annotations

import sys

MARKS = ("long0", "long1")
_SECONDS = 60.0


def main(folder: str, runner: str, native: bool) -> None:
    """Run nodes that go on for a minute, as many as there are workers."""
    from kedro.pipeline import Pipeline, node
    from kedro.runner import ParallelRunner as KedroRunner

    import prunner
    from benchmarks.nodes import bound, make_array
    from benchmarks.reliability import nodes
    from benchmarks.running import make_catalog
    from benchmarks.subjects import PRUNNER

    workers = len(MARKS)
    used = prunner.ParallelRunner(workers) if runner == PRUNNER else KedroRunner(workers)
    function = nodes.hold_long if native else nodes.sleep_long
    # In-memory data, so that there are files that could be left.
    steps = [node(make_array, "megabytes", "array", name="maker")]
    for name in MARKS:
        steps.append(node(bound(function, folder, name, _SECONDS), "array", name, name=name))
    used.run(Pipeline(steps), make_catalog(used, {"megabytes": 1}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] == "native")
