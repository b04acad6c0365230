"""Workers that join, die, hang and are started again in the middle of a run."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import DaskRunner
from prunner.errors import ClusterError, NodeTimeout, PipelineFailed, WorkerDied
from tests.cluster import nodes
from tests.cluster.processes import Cluster, end

pytestmark = pytest.mark.timeout(120)


def run(client, steps, inputs=None, **options):
    """What a pipeline makes, loaded."""
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in (inputs or {}).items()})
    outputs = DaskRunner(client=client, **options).run(pipeline(steps), catalog)
    return {name: dataset.load() for name, dataset in outputs.items()}


@pytest.fixture
def meanwhile():
    """Calls a function in a thread, while the test does something else."""
    with ThreadPoolExecutor(1) as pool:

        def call(function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
            return pool.submit(function, *args, **options)

        yield call


def kill(pid: int) -> None:
    """End a process at once, as the system does for lack of memory."""
    psutil.Process(pid).kill()


def test_worker_that_joins_late_runs_nodes(own, met, meanwhile):
    first = own.worker()
    client = own.client(1)
    steps = [node(nodes.wait, "address", f"pid{n}", name=f"wait{n}") for n in range(6)]

    found = meanwhile(run, client, steps, {"address": met.address})
    guests = [met.next()]
    late = own.worker()
    guests.append(met.next())  # the first one waits still: this is the late one's
    for number in range(4):
        guests[number].go_on()
        guests.append(met.next())
    for each in guests[-2:]:
        each.go_on()

    assert guests[0].pid == first.pid
    assert guests[1].pid == late.pid
    assert set(found.result().values()) == {first.pid, late.pid}


def test_data_of_a_worker_that_was_killed_is_made_again(own, met, meanwhile, tmp_path):
    for _ in range(2):
        own.worker()
    client = own.client(2)
    path = tmp_path / "made"
    steps = [
        node(nodes.counted, "path", "made", name="make"),
        node(nodes.wait_with, ["made", "address"], "waited", name="wait"),
        node(lambda waited: ("end", waited), "waited", "end", name="end"),
    ]

    found = meanwhile(run, client, steps, {"path": str(path), "address": met.address})
    guest = met.next()
    (made_by,) = path.read_text("utf-8").split()
    assert int(made_by) == guest.pid  # where the data is
    kill(guest.pid)
    again = met.next()
    again.go_on()

    assert again.pid != guest.pid
    assert found.result() == {"end": ("end", 2)}
    assert path.read_text("utf-8").split() == [made_by, str(again.pid)]


def test_worker_that_its_nanny_has_started_again_runs_nodes(own, met, meanwhile):
    own.worker(nanny=True)
    client = own.client(1)
    steps = [
        node(nodes.wait, "address", "waited", name="wait"),
        node(nodes.pid, "waited", "pid", name="end"),
    ]

    found = meanwhile(run, client, steps, {"address": met.address})
    guest = met.next()
    kill(guest.pid)
    again = met.next()
    again.go_on()

    assert again.pid != guest.pid
    assert found.result() == {"pid": again.pid}


@pytest.fixture
def strict(tmp_path_factory):
    """A cluster that gives up on a task when it has ended two workers."""
    limit = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with Cluster(tmp_path_factory.mktemp("strict"), **limit) as cluster:
        yield cluster


def test_node_that_always_ends_its_worker_is_named(strict):
    for _ in range(3):
        strict.worker()
    client = strict.client(3)
    steps = [node(nodes.kill, None, "never", name="deadly"), node(nodes.pid, "never", "pid")]

    with pytest.raises(WorkerDied, match="deadly") as caught:
        run(client, steps)

    error = caught.value
    assert error.node == "deadly"
    assert error.deaths == 2
    assert error.host in ("127.0.0.1", socket.gethostname())
    assert str(error.host) in str(error)
    assert run(client, [node(nodes.pid, None, "pid")])  # by the one that is left


def test_others_go_on_when_a_node_always_ends_its_worker(strict):
    for _ in range(2):
        strict.worker(nanny=True)
    client = strict.client(2)
    steps = [
        node(nodes.kill, None, "never", name="deadly"),
        node(nodes.pid, "never", "below", name="below"),
        node(nodes.add, "one", "good", name="good"),
    ]

    with pytest.raises(PipelineFailed) as caught:
        run(client, steps, {"one": 1}, on_error="continue")

    failed = caught.value
    assert list(failed.failures) == ["deadly"]
    assert isinstance(failed.failures["deadly"], WorkerDied)
    assert failed.skipped == ("below",)
    assert failed.completed == ("good",)


# --- time limits ------------------------------------------------------------------------------

SOON = 1.0  # seconds
# Kedro imports it when it copies data for the first time.
WITH_PANDAS = ("--preload", "pandas")


def test_node_that_takes_too_long_ends_with_its_stack(own, tmp_path):
    own.worker(*WITH_PANDAS, nanny=True)
    client = own.client(1)

    with pytest.raises(NodeTimeout) as caught:
        run(
            client,
            [node(nodes.hang, "path", "never", name="slow"), node(nodes.pid, "never", "pid")],
            {"path": str(tmp_path / "pid")},
            timeout=SOON,
        )

    error = caught.value
    assert error.node == "slow"
    assert str(error.pid) == (tmp_path / "pid").read_text("utf-8").strip()
    assert error.host == socket.gethostname()
    assert "in hang" in error.frames
    found = run(client, [node(nodes.pid, None, "pid")])  # the nanny has started another one
    assert found["pid"] != error.pid


def test_rest_goes_on_when_a_node_takes_too_long(own, tmp_path):
    own.worker(*WITH_PANDAS, nanny=True)
    client = own.client(1)
    steps = [
        node(nodes.hang, "path", "never", name="slow"),
        node(nodes.pid, "never", "below", name="below"),
        node(nodes.add, "one", "good", name="good"),
        node(nodes.add, "good", "better", name="better"),
    ]

    with pytest.raises(PipelineFailed) as caught:
        run(
            client,
            steps,
            {"path": str(tmp_path / "pid"), "one": 1},
            on_error="continue",
            node_options={"slow": {"timeout": SOON}},
        )

    failed = caught.value
    assert list(failed.failures) == ["slow"]
    assert isinstance(failed.failures["slow"], NodeTimeout)
    assert failed.skipped == ("below",)
    assert set(failed.completed) == {"good", "better"}


def test_node_that_took_too_long_is_tried_again(own, tmp_path, caplog):
    own.worker(*WITH_PANDAS, nanny=True)
    client = own.client(1)

    with caplog.at_level(logging.WARNING):
        found = run(
            client,
            [node(nodes.hang_at_first, "path", "count", name="slow")],
            {"path": str(tmp_path / "tries")},
            node_options={"slow": {"timeout": SOON, "retries": 1}},
        )

    assert found == {"count": 2}
    assert any("'slow' failed and will be tried again" in r.getMessage() for r in caplog.records)


# --- the scheduler ----------------------------------------------------------------------------


def test_run_whose_scheduler_ends_is_over(own, met, meanwhile):
    own.worker()
    own.client(1)
    client = own.impatient_client()
    steps = [node(nodes.wait, "address", "pid", name="wait"), node(nodes.pid, "pid", "end")]

    found = meanwhile(run, client, steps, {"address": met.address})
    met.next()
    end(own.scheduler)

    with pytest.raises(ClusterError, match="scheduler"):
        found.result()


def test_run_whose_scheduler_ends_while_a_hook_is_answered_is_over(own, met, meanwhile):
    from kedro.framework.hooks import hook_impl
    from kedro.framework.hooks.manager import _create_hook_manager

    own.worker()
    own.client(1)
    client = own.impatient_client()
    met_here, gone = threading.Event(), threading.Event()

    class Waits:
        @hook_impl
        def before_node_run(self):
            met_here.set()
            gone.wait()

    manager = _create_hook_manager()
    manager.register(Waits())
    steps = pipeline([node(nodes.pid, None, "pid"), node(nodes.pid, "pid", "end")])

    found = meanwhile(DaskRunner(client=client).run, steps, DataCatalog(), manager)
    met_here.wait()
    end(own.scheduler)
    gone.set()

    with pytest.raises(ClusterError, match="scheduler"):
        found.result()
