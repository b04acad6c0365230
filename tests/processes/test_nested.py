"""Nodes that are parallel themselves: what they start works, and ends with the run."""

from __future__ import annotations

import glob
import logging
import multiprocessing
from typing import Any

import psutil
import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

import prunner
from prunner import ParallelRunner
from tests.processes import inner_pools
from tests.processes.conftest import NEW_AND_COPIED, UNDER_ALL
from tests.processes.nodes import worker_pid
from tests.processes.projects import make_folder

pytestmark = NEW_AND_COPIED

KINDS = [
    inner_pools.joblib,
    inner_pools.pool,
    inner_pools.pool_left,
    inner_pools.executor,
    inner_pools.executor_left,
    inner_pools.manager_left,
    inner_pools.process_left,
    inner_pools.subprocess_left,
]


class Witness:
    """Holds the workers, so that their exit codes can be asked for."""

    def __init__(self):
        self.workers: set[Any] = set()

    @hook_impl
    def before_node_run(self):
        self.workers.update(multiprocessing.active_children())


def run(function, start_method, witness=None):
    hooks = _create_hook_manager()
    hooks.register(witness or Witness())
    steps = pipeline([node(function, None, "found", name="parallel")])
    runner = ParallelRunner(max_workers=1, start_method=start_method)
    return runner.run(steps, DataCatalog(), hooks)["found"].load()


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_processes_of_a_node_end_with_its_worker_which_ends_by_itself(start_method, kind):
    if kind is inner_pools.joblib:
        pytest.importorskip("joblib")
    witness = Witness()

    found = run(kind, start_method, witness)

    prunner.stop_workers()  # one that has nothing left stays for the next run
    assert found["total"] == inner_pools.TOTAL
    assert not any(map(is_running, found["inner"]))
    # A worker that does not end by itself is killed after a while, and its code says so.
    assert [worker.exitcode for worker in witness.workers] == [0]


@UNDER_ALL
def test_joblib_leaves_neither_files_nor_semaphores(start_method, tmp_path, monkeypatch, capfd):
    pytest.importorskip("joblib")
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))

    found = run(inner_pools.joblib, start_method)

    assert found["types"] == ["memmap"]  # there was a file
    assert list(tmp_path.iterdir()) == []
    assert glob.glob(f"/dev/shm/sem.*-{found['worker']}-*") == []
    assert "leaked" not in capfd.readouterr().err


ENDED_EARLY = """
import json
import os
import sys

from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from prunner import ParallelRunner
from tests.processes import inner_pools


def interrupt():
    raise KeyboardInterrupt


def leave():
    print(said[0], flush=True)
    os._exit(0)


said = []


class Ending:
    @hook_impl
    def after_dataset_saved(self, data):
        said.append(json.dumps(data))
        {"interrupt": interrupt, "leave": leave}[sys.argv[2]]()


if __name__ == "__main__":
    hooks = _create_hook_manager()
    hooks.register(Ending())
    steps = pipeline([node(inner_pools.joblib_without_end, None, "found")])
    runner = ParallelRunner(max_workers=1, start_method=sys.argv[1])
    try:
        runner.run(steps, DataCatalog(), hooks)
    except KeyboardInterrupt:
        print(said[0])
"""


@UNDER_ALL
@pytest.mark.parametrize("how", ["interrupt", "leave"])
def test_nothing_is_left_of_a_run_that_ends_early(tmp_path, start_method, how):
    pytest.importorskip("joblib")
    folder = make_folder(tmp_path / "early")
    joblibs = tmp_path / "joblib"
    joblibs.mkdir()

    # Returns when all processes that hold its output are gone, the trackers among them.
    done = folder.run_script(ENDED_EARLY, start_method, how, JOBLIB_TEMP_FOLDER=str(joblibs))

    found = done.answer
    assert found["types"] == ["memmap"]
    assert not any(map(is_running, [found["worker"], *found["inner"]]))
    assert list(joblibs.iterdir()) == []


def test_a_node_that_runs_a_pipeline_with_prunner(start_method, caplog):
    caplog.set_level(logging.INFO)
    steps = pipeline([node(inner_pools.nested_run, "method", "found", name="outer")])
    catalog = DataCatalog({"method": MemoryDataset(start_method)})

    outputs = ParallelRunner(max_workers=1, start_method=start_method).run(steps, catalog)

    found = outputs["found"].load()
    assert found["total"] == inner_pools.TOTAL
    assert found["worker"] != worker_pid()
    # loky forks no process from a forked one.
    assert (found["inner"] == [found["worker"]]) == (start_method == "fork")
    reasons = [each for each in caplog.messages if "may not start others" in each]
    assert len(reasons) == (start_method == "fork")
    assert not any(map(is_running, found["inner"]))
