"""Probes of many processes: workers of one run, and commands at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from kedro.pipeline import Pipeline, node

import prunner
from benchmarks.load.child import PEAK, SEQUENTIAL, TIME
from benchmarks.load.watch import files_of, peak_of_parent
from benchmarks.nodes import bound
from benchmarks.reliability import marks
from benchmarks.running import run_once
from prunner.demo.compare import find_differences
from prunner.demo.folder import make_project

_LONGEST = 300.0  # seconds that workers may take to start


def many_workers(count: int) -> dict[str, float]:
    """Run as many nodes at once, each of which waits until all have begun."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"node{i}" for i in range(count)]
        steps = [node(bound(_meet, folder, name, names), None, name, name=name) for name in names]
        seconds, outputs = run_once(prunner.ParallelRunner(count), Pipeline(steps), {})
    used = len(set(outputs.values()) - {os.getpid()})
    assert used == count, f"only {used} workers were used"
    return {TIME: seconds, PEAK: peak_of_parent(), "workers used": used}


def _meet(folder: str, name: str, names: list[str]) -> int:
    marks.leave(folder, name)
    marks.wait_for(folder, names, len(names), _LONGEST)
    return os.getpid()


def commands(count: int) -> dict[str, float]:
    """Run a project with that many commands at once, and compare with what one of Kedro's does."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        project = make_project(Path(name, "project"))
        start = perf_counter()
        _wait_for(_start(project, "SequentialRunner", "sequential"))
        between = perf_counter()
        names = [f"parallel{i}" for i in range(count)]
        started = [_start(project, "prunner.ParallelRunner", each) for each in names]
        for command in started:
            _wait_for(command)
        end = perf_counter()
        for each in names:
            differences = find_differences(project / "data" / "sequential", project / "data" / each)
            assert not differences, differences
    left = [file for command in started for file in files_of(command.pid)]
    assert not left, f"files left: {left}"
    return {TIME: end - between, SEQUENTIAL: between - start}


def _start(project: Path, runner: str, results: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kedro", "run", f"--runner={runner}", "--env=quick"]
    return subprocess.Popen(
        [*command, f"--params=results={results}"],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def _wait_for(command: subprocess.Popen[str]) -> None:
    output, _ = command.communicate()
    assert command.returncode == 0, output
