"""One runner for many runs, runs side by side, and what is left after each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

import prunner
from prunner import ParallelRunner
from prunner.processes import process
from tests.leftovers import files_of
from tests.processes import nodes
from tests.processes.conftest import NEW_AND_COPIED

pytestmark = NEW_AND_COPIED


def doubled(runner, number):
    steps = pipeline([node(nodes.double, "n", "twice"), node(nodes.double, "twice", "result")])
    return runner.run(steps, DataCatalog({"n": MemoryDataset(number)}))["result"].load()


def test_one_runner_serves_several_runs(start_method):
    runner = ParallelRunner(max_workers=1, start_method=start_method)
    assert [doubled(runner, number) for number in (1, 2)] == [4, 8]


def test_the_same_catalog_gets_the_new_outputs(start_method):
    runner = ParallelRunner(max_workers=1, start_method=start_method)
    catalog = DataCatalog({"n": MemoryDataset(1)})
    steps = pipeline([node(nodes.double, "n", "result")])
    runner.run(steps, catalog)
    catalog.save("n", 5)
    assert runner.run(steps, catalog)["result"].load() == 10


def test_runs_of_two_threads_do_not_disturb_each_other(start_method):
    runner = ParallelRunner(max_workers=2, start_method=start_method)
    results = {}

    def run(number):
        results[number] = doubled(runner, number)

    threads = [threading.Thread(target=run, args=(number,)) for number in (10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {10: 40, 20: 80}


def test_outputs_can_be_loaded_after_the_runner_is_gone(start_method):
    runner = ParallelRunner(max_workers=1, start_method=start_method)
    steps = pipeline([node(nodes.ones, "n", "big")])
    outputs = runner.run(steps, DataCatalog({"n": MemoryDataset(300_000)}))
    del runner
    prunner.stop_workers()
    assert not files_of(os.getpid())
    np.testing.assert_array_equal(outputs["big"].load(), np.ones(300_000))


def test_nothing_is_left_after_a_failure(start_method):
    steps = pipeline([node(nodes.ones, "n", "big"), node(nodes.fail, "big", "never")])
    catalog = DataCatalog({"n": MemoryDataset(100_000)})
    with pytest.raises(ValueError, match="a node failed"):
        ParallelRunner(max_workers=2, start_method=start_method).run(steps, catalog)
    # As under SequentialRunner, what was made before the failure can be looked at.
    assert catalog.load("big").sum() == 100_000


def test_a_worker_that_does_not_want_to_end_is_ended(start_method, monkeypatch):
    monkeypatch.setattr(process, "GRACE", 1.0)
    steps = pipeline([node(nodes.leave_a_thread, None, "pid")])
    outputs = ParallelRunner(max_workers=1, start_method=start_method).run(steps, DataCatalog())
    assert not psutil.pid_exists(outputs["pid"].load())


def test_workers_end_with_a_parent_that_is_killed(start_method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    parent = subprocess.Popen(
        [sys.executable, str(script), start_method],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        encoding="utf-8",
    )
    assert parent.stdout is not None
    with parent, parent.stdout as lines:
        found = (re.search(r"worker (\d+) ", line) for line in lines)
        worker = psutil.Process(next(int(match[1]) for match in found if match))
        everybody = psutil.Process(parent.pid).children(recursive=True)
        assert worker in everybody
        parent.kill()
        _, alive = psutil.wait_procs(everybody, timeout=60)
        assert not alive
    for path in files_of(parent.pid):  # a killed parent cannot remove what it made
        shutil.rmtree(path)  # and workers have removed what is theirs


SCRIPT = """
import sys
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from prunner import ParallelRunner
from tests.processes import nodes

if __name__ == "__main__":
    steps = pipeline([node(nodes.print_pid_and_wait, None, "never")])
    ParallelRunner(max_workers=1, start_method=sys.argv[1]).run(steps, DataCatalog())
"""
