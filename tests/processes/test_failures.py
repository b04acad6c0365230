"""Workers die, nodes raise or hang: who is blamed, what is tried again, and what goes on."""

from __future__ import annotations

import logging
import os
import sys
import threading
from multiprocessing.connection import Listener

import psutil
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import NodeTimeout, ParallelRunner, PipelineFailed, WorkerDied, WorkerStartError
from prunner.processes import process
from tests.processes import failing_nodes as nodes
from tests.processes.conftest import NEW_AND_COPIED, UNDER_ALL

pytestmark = NEW_AND_COPIED

POSIX = sys.platform != "win32"


def runner_of(start_method, workers=1, **options):
    return ParallelRunner(max_workers=workers, start_method=start_method, **options)


def run(steps, runner, **data):
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in data.items()})
    return runner.run(pipeline(steps), catalog)


def test_a_step_whose_worker_died_is_tried_again_elsewhere(start_method, tmp_path, caplog):
    steps = [
        node(nodes.die_at_first, ["mark", "how"], "pid", name="unlucky"),
        node(nodes.count, "pid", "more", name="next"),
    ]
    found = run(steps, runner_of(start_method, retries=1), mark=str(tmp_path / "mark"), how="kill")
    assert found["more"].load() > 1
    (warning,) = [r.getMessage() for r in caplog.records if "tried again" in r.getMessage()]
    assert warning.startswith("Node 'unlucky' failed and will be tried again. WorkerDied: ")


def test_exceptions_of_chosen_types_are_tried_again(start_method, tmp_path):
    steps = [node(nodes.raise_at_first, "mark", "pid", name="unlucky")]
    runner = runner_of(start_method, retries=1, retry_on=ConnectionError)
    assert run(steps, runner, mark=str(tmp_path / "mark"))["pid"].load() != os.getpid()

    runner = runner_of(start_method, retries=1, retry_on=[KeyError, "TimeoutError"])
    with pytest.raises(ConnectionResetError):
        run(steps, runner, mark=str(tmp_path / "other"))


def test_a_node_that_kills_every_worker_is_given_up_with_its_history(start_method):
    steps = [node(nodes.die, "how", None, name="killer", tags="dangerous")]
    runner = runner_of(start_method, node_options={"dangerous": {"retries": 2}})
    with pytest.raises(WorkerDied, match="node 'killer'") as found:
        run(steps, runner, how="exit")
    if sys.version_info >= (3, 11):
        (note,) = found.value.__notes__
        assert note.startswith("Node 'killer' was tried 3 times:\n1. WorkerDied: ")


def test_other_workers_are_not_touched_by_a_death(start_method):
    with Listener(("localhost", 0)) as listener:
        steps = [
            node(nodes.wait_for_the_end, "address", "pid", name="steady"),
            node(nodes.die, "how", "nothing", name="killer"),
            node(nodes.count, "pid", "more", name="follows"),
        ]
        pids = []

        def let_go_after_the_death():
            with listener.accept() as connection:
                pids.append(connection.recv())
                died.wait()

        died = threading.Event()
        handler = _Calls("will be tried again", died.set)
        logging.getLogger("kedro.runner.prunner").addHandler(handler)
        thread = threading.Thread(target=let_go_after_the_death)
        thread.start()
        runner = runner_of(
            start_method, 2, on_error="continue", node_options={"killer": {"retries": 1}}
        )
        try:
            with pytest.raises(PipelineFailed) as found:
                run(steps, runner, address=listener.address, how="exit")
        finally:
            died.set()
            thread.join()
            logging.getLogger("kedro.runner.prunner").removeHandler(handler)
    assert set(found.value.failures) == {"killer"}
    assert set(found.value.completed) == {"steady", "follows"}
    assert len(pids) == 1, "it began once"


class _Calls(logging.Handler):
    def __init__(self, text, function):
        super().__init__()
        self._text, self._function = text, function

    def emit(self, record):
        if self._text in record.getMessage():
            self._function()


def test_a_run_that_goes_on_lists_all_that_failed_and_all_that_was_skipped(start_method, tmp_path):
    mark = str(tmp_path / "mark")
    steps = [
        node(nodes.raise_at_first, "mark", "a", name="raises"),
        node(nodes.count, "a", "b", name="skipped"),
        node(nodes.count, "b", "c", name="skipped_too"),
        node(nodes.die, "how", None, name="dies"),
        node(nodes.count, "one", "two", name="runs"),
    ]
    with pytest.raises(PipelineFailed) as found:
        runner = runner_of(start_method, 2, on_error="continue")
        run(steps, runner, mark=mark, how="exit", one=1)

    error, text = found.value, str(found.value)
    assert {name: type(e) for name, e in error.failures.items()} == {
        "raises": ConnectionResetError,
        "dies": WorkerDied,
    }
    assert set(error.exceptions) == set(error.failures.values())
    assert (error.skipped, error.completed) == (("skipped", "skipped_too"), ("runs",))
    assert "2 nodes failed, 1 completed:" in text
    assert "- 'raises': ConnectionResetError: the other side is gone" in text
    assert error.resume
    assert error.resume.startswith('--from-nodes "')
    if sys.version_info >= (3, 11):
        assert isinstance(error, ExceptionGroup)  # noqa: F821
        matched, rest = error.split(ConnectionError)
        assert matched.exceptions == (error.failures["raises"],)
        assert rest.exceptions == (error.failures["dies"],)


def test_what_is_no_exception_ends_also_a_run_that_goes_on(tmp_path, caplog):
    steps = [
        node(nodes.raise_at_first, "mark", "a", name="a", tags="prunner.main"),
        node(nodes.leave, "mark", None, name="b", tags="prunner.main"),
    ]
    with pytest.raises(SystemExit):
        run(steps, ParallelRunner(on_error="continue"), mark=str(tmp_path / "mark"))
    assert "Another error of this run: ConnectionResetError" in caplog.text


@pytest.mark.parametrize("tags", [[], ["prunner.main"]], ids=["worker", "here"])
def test_an_exception_without_a_text_is_tried_again_and_raised(tags, start_method, caplog):
    steps = [node(nodes.raise_unspeakable, "one", None, name="unlucky", tags=tags)]
    with pytest.raises(nodes.Unspeakable):
        run(steps, runner_of(start_method, retries=1, retry_on=nodes.Unspeakable), one=1)
    assert "tried again. Unspeakable (whose text cannot be made: RuntimeError)" in caplog.text


def test_a_node_in_the_main_process_is_tried_again_too(start_method, tmp_path):
    steps = [node(nodes.raise_at_first, "mark", "pid", name="here", tags="prunner.main")]
    runner = runner_of(start_method, retries=1, retry_on="ConnectionResetError")
    assert run(steps, runner, mark=str(tmp_path / "mark"))["pid"].load() == os.getpid()


# --- time limits ------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [nodes.take_forever, nodes.hold_the_interpreter])
def test_a_node_past_its_time_is_ended_with_the_stack_that_it_was_stuck_in(function, start_method):
    steps = [
        node(function, None, "nothing", name="slow"),
        node(nodes.count, "one", "two", name="runs"),
    ]
    runner = runner_of(
        start_method, 2, on_error="continue", node_options={"slow": {"timeout": 0.2}}
    )
    with pytest.raises(PipelineFailed) as found:
        run(steps, runner, one=1)
    error = found.value.failures["slow"]
    assert isinstance(error, NodeTimeout)
    assert (error.node, error.timeout) == ("slow", 0.2)
    assert "took longer than its timeout of 0.2 seconds" in str(error)
    if POSIX or function is nodes.take_forever:
        assert f"in {function.__name__}\n" in error.frames
    assert found.value.completed == ("runs",)


def test_what_took_too_long_may_be_tried_again(start_method):
    steps = [node(nodes.take_forever, None, "nothing", name="slow")]
    runner = runner_of(start_method, timeout=0.1, retries=1)
    with pytest.raises(NodeTimeout) as found:
        run(steps, runner)
    if sys.version_info >= (3, 11):
        assert "was tried 2 times" in found.value.__notes__[0]


def test_a_node_that_is_quicker_than_its_timeout_is_left_alone(start_method):
    steps = [node(nodes.count, "one", f"n{i}", name=f"n{i}") for i in range(20)]
    found = run(steps, runner_of(start_method, timeout=60), one=1)
    assert len(found) == 20


# --- before a node ----------------------------------------------------------------------------


@UNDER_ALL
@pytest.mark.parametrize("times", [2, 3])
def test_a_worker_that_dies_while_it_starts_is_replaced_twice(
    times, start_method, tmp_path, monkeypatch, caplog
):
    if start_method == "fork":
        pytest.skip("a forked worker imports nothing")
    from tests.processes import dies_at_import

    monkeypatch.setenv(dies_at_import.VARIABLE, f"{times}:{tmp_path}")
    steps = [node(dies_at_import.count, "one", "two", name="innocent")]
    runner = runner_of(start_method)
    if times == 2:
        assert run(steps, runner, one=1)["two"].load() == 2
    else:
        with pytest.raises(WorkerStartError) as found:
            run(steps, runner, one=1)
        assert "3 processes have ended before they were ready, the last one by exit code 7" in str(
            found.value
        )
    deaths = [r for r in caplog.records if "while it started (exit code 7)" in r.getMessage()]
    assert len(deaths) == 2


@UNDER_ALL
def test_what_a_node_has_started_ends_with_its_worker(start_method, tmp_path, monkeypatch):
    monkeypatch.setattr(
        process, "GRACE", 0.5
    )  # the forked one holds a pipe whose end is waited for
    steps = [node(nodes.leave_processes_and_die, "path", None, name="guilty")]
    with pytest.raises(WorkerDied):
        run(steps, runner_of(start_method), path=str(tmp_path / "pids"))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text(encoding="utf-8").split()]
    assert len(pids) == 1 + POSIX
    assert not any(map(_is_there, pids))


def _is_there(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
