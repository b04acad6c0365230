"""The runner's options and how many processes it starts."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from typing import Any

import loky
import psutil
import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import AbstractDataset, DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import AbstractRunner
from kedro.runner import ParallelRunner as KedrosParallelRunner

from prunner import ParallelRunner, WorkerStartError
from prunner.options import DEFAULT_START_METHOD
from tests.processes import nodes
from tests.processes.conftest import NEW_AND_COPIED, UNDER_ALL

pytestmark = NEW_AND_COPIED


def chains(count, length):
    return pipeline(
        [
            node(nodes.with_pid, f"c{i}_{j}" if j else "one", f"c{i}_{j + 1}", name=f"{i}-{j}")
            for i in range(count)
            for j in range(length)
        ]
    )


def pids_of(outputs):
    found = set()
    for dataset in outputs.values():
        value = dataset.load()
        while isinstance(value, tuple):
            value, pid = value
            found.add(pid)
    return found


def test_it_is_kedros_abstract_runner_and_not_kedros_parallel_runner():
    assert issubclass(ParallelRunner, AbstractRunner)
    assert not issubclass(ParallelRunner, KedrosParallelRunner)


def test_options_are_plain_keyword_arguments():
    runner = ParallelRunner(max_workers=3, is_async=True, start_method="spawn")
    assert repr(runner) == (
        "prunner.ParallelRunner(max_workers=3, is_async=True, start_method='spawn')"
    )


def test_by_default_there_are_as_many_workers_as_cpus():
    assert f"max_workers={loky.cpu_count()}," in repr(ParallelRunner())
    assert f"start_method='{DEFAULT_START_METHOD}'" in repr(ParallelRunner())


def test_nodes_run_in_other_processes_no_more_than_asked_for(start_method):
    outputs = ParallelRunner(max_workers=2, start_method=start_method).run(
        chains(6, 2), DataCatalog({"one": MemoryDataset(1)})
    )
    pids = pids_of(outputs)
    assert 1 <= len(pids) <= 2
    assert nodes.worker_pid() not in pids


@UNDER_ALL
def test_no_more_workers_than_the_pipeline_can_use(start_method):
    steps = pipeline([node(nodes.children_of_parent, "one", "a"), node(nodes.double, "a", "b")])
    before = len(psutil.Process().children())
    outputs = ParallelRunner(max_workers=4, start_method=start_method).run(
        steps, DataCatalog({"one": MemoryDataset(1)})
    )
    started = outputs["b"].load() // 2 - before
    assert started <= 3  # the worker, and the helper processes of loky or multiprocessing


@UNDER_ALL
def test_the_default_start_method_of_the_process_is_not_touched(start_method):
    before = multiprocessing.get_start_method(allow_none=True)
    ParallelRunner(max_workers=1, start_method=start_method).run(
        chains(1, 1), DataCatalog({"one": MemoryDataset(1)})
    )
    assert multiprocessing.get_start_method(allow_none=True) == before


@pytest.mark.parametrize("variable", ["PRUNNER_START_METHOD", "KEDRO_MP_CONTEXT"])
def test_the_environment_chooses_the_start_method(monkeypatch, variable):
    monkeypatch.setenv(variable, "spawn")
    steps = pipeline([node(nodes.start_method_here, None, "method")])
    assert ParallelRunner().run(steps, DataCatalog())["method"].load() == "spawn"


def test_an_empty_pipeline_and_one_without_work_for_workers(start_method):
    runner = ParallelRunner(start_method=start_method)
    assert runner.run(pipeline([]), DataCatalog()) == {}
    here = pipeline([node(nodes.worker_pid, None, "pid", tags="prunner.main")])
    assert runner.run(here, DataCatalog())["pid"].load() == nodes.worker_pid()


def pid_in_a_daemonic_process(queue):
    steps = pipeline([node(nodes.worker_pid, None, "pid")])
    outputs = ParallelRunner(max_workers=1).run(steps, DataCatalog())
    queue.put(outputs["pid"].load() == nodes.worker_pid())


def test_where_no_process_may_be_started_the_nodes_run_here():
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=pid_in_a_daemonic_process, args=(queue,), daemon=True)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert queue.get()
    queue.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the folder")
def test_a_working_directory_that_was_removed_is_named(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(WorkerStartError, match="current working directory does not exist"):
        ParallelRunner(max_workers=1).run(chains(1, 1), DataCatalog({"one": MemoryDataset(1)}))


class HoldingHooks:
    """Takes data, as a plugin does that looks at every dataset."""

    def __init__(self):
        self.seen = []

    @hook_impl
    def before_node_run(self, inputs):
        self.seen.append(sorted(inputs))


class LockDataset(AbstractDataset[Any, Any]):
    """Loads what cannot be pickled, as a dataset of open connections does."""

    def load(self):
        return threading.Lock()

    def save(self, data):
        raise NotImplementedError

    def _describe(self):
        return {}


def test_a_hook_that_takes_inputs_does_not_make_a_node_fail(start_method):
    manager, hooks = _create_hook_manager(), HoldingHooks()
    manager.register(hooks)
    steps = pipeline([node(nodes.type_name, "lock", "name")])
    outputs = ParallelRunner(max_workers=1, start_method=start_method).run(
        steps, DataCatalog({"lock": LockDataset()}), manager
    )
    assert (outputs["name"].load(), hooks.seen) == ("lock", [["lock"]])
