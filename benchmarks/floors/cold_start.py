"""Probe of the cold start: ``kedro run`` as a whole process, time and CPU time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.environment import measured_environment
from benchmarks.floors.project import make_project
from benchmarks.floors.samples import Request, Sample

_WORKERS = 2
_RUNNERS = ("SequentialRunner", "prunner.ParallelRunner")


def against_sequential(request: Request) -> Iterator[Sample]:
    """Compare with ``SequentialRunner``; logging is as Kedro sets it up by itself."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        project = make_project(Path(name, "project"))
        for runner in _RUNNERS:  # the first run of each writes bytecode, and is not counted
            _run(project, runner)
        for _ in range(request.repeats):
            (limit, limit_cpu), (own, own_cpu) = (_run(project, runner) for runner in _RUNNERS)
            yield Sample("cold-start", limit, own)
            if own_cpu:
                yield Sample("cold-start-cpu", limit_cpu, own_cpu)


def _run(project: Path, runner: str) -> tuple[float, float]:
    """Seconds of a whole process, and the CPU seconds of it and of all it has waited for."""
    command = [sys.executable, "-m", "kedro", "run", f"--runner={runner}"]
    environment = {**measured_environment(quiet=False), "LOKY_MAX_CPU_COUNT": str(_WORKERS)}
    before, start = _cpu_of_children(), perf_counter()
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    seconds, cpu = perf_counter() - start, _cpu_of_children() - before
    assert done.returncode == 0, done.stdout + done.stderr
    return seconds, cpu


def _cpu_of_children() -> float:
    # Includes the descendants for which their parents have waited; not known on Windows, 0 there.
    return os.times().children_user + os.times().children_system
