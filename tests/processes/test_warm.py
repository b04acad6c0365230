"""Workers that stay for the next run, and go when they should."""

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from multiprocessing.connection import Listener

import psutil
import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

import prunner
from prunner import ParallelRunner
from prunner.processes.keeper import WorkerKind
from prunner.processes.pool import WorkerPool
from prunner.processes.project import ProjectState
from prunner.processes.worker import packed_setup
from tests.processes import nodes
from tests.processes.conftest import NEW_AND_COPIED, UNDER_ALL

pytestmark = NEW_AND_COPIED

FORKED = "fork"  # such workers never stay


def pids(runner, function=nodes.worker_pid, count=1):
    steps = pipeline([node(function, None, f"pid{i}", name=f"n{i}") for i in range(count)])
    outputs = runner.run(steps, DataCatalog())
    return [outputs[f"pid{i}"].load() for i in range(count)]


def runner_of(start_method, **options):
    return ParallelRunner(max_workers=1, start_method=start_method, **options)


def test_the_next_run_has_the_same_worker(start_method):
    first, second = (pids(runner_of(start_method)) for _ in range(2))
    assert (first == second) == (start_method != FORKED)


def test_workers_can_be_told_to_go(start_method):
    (pid,) = pids(runner_of(start_method))
    prunner.stop_workers()
    assert not psutil.pid_exists(pid)
    prunner.stop_workers()  # there is nobody left
    assert pids(runner_of(start_method)) != [pid]


def test_without_an_idle_timeout_workers_end_with_the_run(start_method):
    (pid,) = pids(runner_of(start_method, idle_timeout=0))
    assert not psutil.pid_exists(pid)


class Nothing:
    @hook_impl
    def before_node_run(self):
        """Something that might be left open."""


def test_workers_that_have_run_hooks_end_with_the_run(start_method):
    hooks = _create_hook_manager()
    hooks.register(Nothing())
    runner = runner_of(start_method, worker_hooks=[f"{__name__}.Nothing"])
    steps = pipeline([node(nodes.worker_pid, None, "pid")])
    outputs = runner.run(steps, DataCatalog(), hooks)
    assert not psutil.pid_exists(outputs["pid"].load())


def test_idle_workers_go_by_themselves(start_method):
    (pid,) = pids(runner_of(start_method, idle_timeout=0.01))
    try:
        psutil.Process(pid).wait(timeout=60)
    except psutil.NoSuchProcess:
        pass
    assert not psutil.pid_exists(pid)


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A module that somebody edits."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "edited_nodes.py"
    path.write_text(CODE.format("old"), encoding="utf-8")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    importlib.invalidate_caches()
    yield importlib.import_module("edited_nodes"), path
    del sys.modules["edited_nodes"]


CODE = """
import os


def version():
    return {!r}, os.getpid()
"""


def test_no_stale_code_runs_when_a_file_has_changed(start_method, edited):
    module, path = edited
    runner = runner_of(start_method)
    ((_, pid),) = pids(runner, module.version)
    ((_, same),) = pids(runner, module.version)
    assert (same == pid) == (start_method != FORKED)
    path.write_text(CODE.format("a newer one"), encoding="utf-8")
    importlib.invalidate_caches()
    if start_method == FORKED:
        importlib.reload(module)  # such a worker knows what its parent knows
    ((version, other),) = pids(runner, module.version)
    assert version == "a newer one"
    assert other != pid


def test_no_stale_code_runs_when_the_parent_has_loaded_it_anew(start_method, edited):
    module, _ = edited
    runner = runner_of(start_method)
    ((_, pid),) = pids(runner, module.version)
    importlib.reload(module)
    ((_, other),) = pids(runner, module.version)
    assert other != pid


def environment_of_worker():
    return os.environ.get("PRUNNER_TEST_SIGN"), os.getpid()


def test_workers_of_another_environment_are_replaced(start_method, monkeypatch):
    runner = runner_of(start_method)
    ((before, pid),) = pids(runner, environment_of_worker)
    monkeypatch.setenv("PRUNNER_TEST_SIGN", "new")
    ((after, other),) = pids(runner, environment_of_worker)
    assert (before, after) == (None, "new")
    assert other != pid
    assert not psutil.pid_exists(pid)


def log_a_line():
    logging.getLogger("prunner_test_orchard").info("a line")
    return os.getpid()


def test_levels_are_those_of_each_run(start_method, caplog):
    lines = []
    for level in (logging.WARNING, logging.INFO, logging.WARNING):
        caplog.clear()
        with caplog.at_level(level, "prunner_test_orchard"):
            pids(runner_of(start_method), log_a_line)
        lines.append([r.getMessage() for r in caplog.records].count("a line"))
    assert lines == [0, 1, 0]


def test_a_run_that_needs_more_workers_gets_more(start_method):
    runner = ParallelRunner(max_workers=2, start_method=start_method)
    pids(runner)
    with Listener(("localhost", 0)) as listener:
        meeting = threading.Thread(target=let_go_when_both_are_there, args=(listener,), daemon=True)
        meeting.start()
        catalog = DataCatalog({"address": MemoryDataset(listener.address)})
        steps = [node(nodes.begin_and_wait, "address", name, name=name) for name in "ab"]
        runner.run(pipeline(steps), catalog)
        meeting.join()


def let_go_when_both_are_there(listener):
    both = [listener.accept(), listener.accept()]
    for each in both:
        with each:
            each.recv()
            each.send("both are there")


LATE_CODE = """
import json
import os
from multiprocessing.connection import Client


def who():
    return os.getpid()


def meet(address):
    with Client(tuple(address)) as connection:
        connection.send(os.getpid())
        connection.recv()
    return os.getpid()


if "LATE_NODES_ASK" in os.environ:
    meet(json.loads(os.environ["LATE_NODES_ASK"]))
"""


@pytest.fixture
def late_nodes(tmp_path, monkeypatch):
    """A module that a worker can import when the test says so."""
    (tmp_path / "late_nodes.py").write_text(LATE_CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("late_nodes")
    del sys.modules["late_nodes"]


def test_a_worker_that_gets_ready_when_its_run_has_ended_serves_the_next(
    start_method, late_nodes, monkeypatch
):
    if start_method == FORKED:
        pytest.skip("such workers never stay")
    run_has_ended = threading.Event()
    imported = []

    def let_import(listener):
        for number in range(2):
            with listener.accept() as connection:
                imported.append(connection.recv())
                if number:
                    run_has_ended.wait()
                connection.send("go on")

    with Listener(("localhost", 0)) as door, Listener(("localhost", 0)) as meeting:
        monkeypatch.setenv("LATE_NODES_ASK", json.dumps(door.address))
        porter = threading.Thread(target=let_import, args=(door,), daemon=True)
        porter.start()
        runner = ParallelRunner(max_workers=2, start_method=start_method)
        steps = [node(late_nodes.who, None, name, name=name) for name in "ab"]
        first = runner.run(pipeline(steps), DataCatalog())
        run_has_ended.set()

        threading.Thread(target=let_go_when_both_are_there, args=(meeting,), daemon=True).start()
        catalog = DataCatalog({"address": MemoryDataset(meeting.address)})
        steps = [node(late_nodes.meet, "address", name, name=name) for name in "ab"]
        second = runner.run(pipeline(steps), catalog)
        porter.join()
    assert {second[name].load() for name in "ab"} == set(imported)
    assert {first[name].load() for name in "ab"} == {imported[0]}


def threads_of_numpy():
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return max((pool["num_threads"] for pool in threadpool_info()), default=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_libraries_use_as_many_threads_as_the_option_says(start_method, threads):
    pids(runner_of(start_method, threads_per_worker=3), threads_of_numpy)
    runner = runner_of(start_method, threads_per_worker=threads)
    assert pids(runner, threads_of_numpy) == [threads]


def variables():
    return os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]


def test_what_the_user_has_set_stays(start_method, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    runner = runner_of(start_method, threads_per_worker=2)
    assert pids(runner, variables) == [("7", "2")]


@UNDER_ALL
def test_a_process_with_idle_workers_ends(start_method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    done = subprocess.run(
        [sys.executable, str(script), start_method],
        capture_output=True,
        env=environment,
        text=True,
        encoding="utf-8",
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "leaked" not in done.stderr
    assert not psutil.pid_exists(int(done.stdout.split()[-1]))


SCRIPT = """
import sys
from loky import get_reusable_executor
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from prunner import ParallelRunner
from tests.processes import nodes

runner = ParallelRunner(max_workers=1, start_method=sys.argv[1])
steps = pipeline([node(nodes.worker_pid, None, "pid")])
pid = runner.run(steps, DataCatalog())["pid"].load()
get_reusable_executor(1).submit(int).result()  # loky has one of its own, which was started later
print(pid)
"""


def test_no_worker_is_started_when_the_run_is_over(start_method):
    kind = WorkerKind(start_method, ProjectState.capture())
    with WorkerPool(kind, lambda: packed_setup(kind.project), queue.SimpleQueue(), 0.0) as pool:
        pool.start(1)
    pool.replace()  # of which the fixture would find something left
    assert pool._members == []
