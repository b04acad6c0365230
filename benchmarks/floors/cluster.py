"""Probes of ``DaskRunner``: what a node costs beside a bare Dask task in the same cluster.

The bare tasks have the same function and the same dependencies, and are handed over as one graph.
Each figure is taken in the same cluster, in turns. ``LocalCluster`` has its scheduler in the
process of the client; where the CPU time of the two is told apart, the scheduler is a process of
its own, as it is in a real cluster.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter, time
from typing import Any, NamedTuple
from unittest import mock

import psutil
from distributed import Client, LocalCluster
from kedro.pipeline import Pipeline, node

import prunner
from benchmarks.floors.samples import Request, Sample
from benchmarks.process import kill
from benchmarks.running import run_once
from prunner.cluster import dispatcher
from prunner.cluster.submission import submit

WORKERS = 2
WIDTH = 50  # nodes that could run at once
_FEW, _MANY = 10, 10_000
_PAIRS = {_FEW: 10, 1000: 4, _MANY: 2}  # pairs in one process, by the number of nodes
_GLANCE = 0.2  # seconds between two looks at the memory of the scheduler
_WAIT = 60  # seconds for the workers to be there

Value = tuple[int, float]  # depth, time at which the first node began


class Timed(NamedTuple):
    """A run of all nodes.

    Attributes:
        seconds: From the call to the last result.
        first: From the call to the begin of the first node.
    """

    seconds: float
    first: float


Timer = Callable[[], Timed]
Kind = Callable[[Client, int], Timer]


def step(*values: Value) -> Value:
    """The work of a node: next to nothing."""
    if values == ((0, 0.0),):
        return 1, time()
    return max(depth for depth, _ in values) + 1, min(begun for _, begun in values)


def parents(index: int) -> tuple[int, ...]:
    """The nodes that a node waits for: two of the layer before."""
    if index < WIDTH:
        return ()
    start = index - index % WIDTH - WIDTH
    return tuple(sorted({index - WIDTH, start + (index + 1) % WIDTH}))


def pipeline(count: int) -> Pipeline:
    """The nodes as a pipeline."""
    steps = []
    for index in range(count):
        found = [f"d{parent}" for parent in parents(index)]
        inputs: Any = found or ["start"]
        steps.append(node(step, inputs, f"d{index}", name=f"node{index}"))
    return Pipeline(steps)


def bare_graph(count: int, token: str) -> dict[str, Any]:
    """The same as a graph of Dask's."""
    graph = {}
    for index in range(count):
        inputs: Any = [f"step-{token}-{parent}" for parent in parents(index)] or [(0, 0.0)]
        graph[f"step-{token}-{index}"] = (step, *inputs)
    return graph


def ends(count: int) -> list[int]:
    """The nodes that no other one waits for."""
    waited_for = {parent for index in range(count) for parent in parents(index)}
    return [index for index in range(count) if index not in waited_for]


class Bare:
    """Runs of bare tasks.

    Args:
        client: Of the cluster.
        count: How many tasks.
    """

    def __init__(self, client: Client, count: int) -> None:
        self._client = client
        self._count = count
        self._ends = ends(count)
        self._runs = 0

    def __call__(self) -> Timed:
        """Run them once."""
        self._runs += 1
        token = f"{self._count}r{self._runs}"
        asked = time()
        start = perf_counter()
        graph = bare_graph(self._count, token)
        values = self._client.get(graph, [f"step-{token}-{index}" for index in self._ends])
        return _timed(perf_counter() - start, asked, values, self._count)


class Own:
    """Runs of the pipeline by ``DaskRunner``.

    Args:
        client: Of the cluster.
        count: How many nodes.
    """

    def __init__(self, client: Client, count: int) -> None:
        self._runner = prunner.DaskRunner(client=client)
        self._pipeline = pipeline(count)
        self._count = count

    def __call__(self) -> Timed:
        """Run them once."""
        asked = time()
        seconds, outputs = run_once(self._runner, self._pipeline, {"start": (0, 0.0)})
        return _timed(seconds, asked, list(outputs.values()), self._count)


def _timed(seconds: float, asked: float, values: Sequence[Value], count: int) -> Timed:
    depth = -(-count // WIDTH)
    wrong = [value for value in values if not depth - 1 <= value[0] <= depth]
    assert values and not wrong, f"wrong outputs: {wrong[:3]}"
    return Timed(seconds, min(begun for _, begun in values) - asked)


# --- probes -----------------------------------------------------------------------------------


def against_dask(request: Request) -> Iterator[Sample]:
    """Compare a node with a bare task, for the number of nodes in the name of the probe."""
    count = int(request.probe.rpartition("-")[2])
    shares = 1 if count == _FEW else count  # few nodes say what a run costs, not a node
    with _local() as client:
        _warm_up(client)
        bare, own = Bare(client, count), Own(client, count)
        for pair in range(1 if request.quick and count == _MANY else _PAIRS[count]):
            # Whoever comes second finds the cluster busier with what the first has left.
            first, second = (bare, own) if pair % 2 == 0 else (own, bare)
            found = {timer: timer().seconds for timer in (first, second)}
            yield Sample(request.probe, found[bare] / shares, found[own] / shares)


def start(request: Request) -> Iterator[Sample]:
    """Compare a run for which a cluster is started with bare tasks in one that is."""
    steps = pipeline(_FEW)
    for _ in range(request.repeats):
        begun = perf_counter()
        with _local() as client:
            Bare(client, _FEW)()
        limit = perf_counter() - begun
        runner = prunner.DaskRunner(max_workers=WORKERS)
        figure, _ = run_once(runner, steps, {"start": (0, 0.0)})
        yield Sample(request.probe, limit, figure)


def apart(request: Request) -> Iterator[Sample]:
    """Say what each process of a cluster does for a node, beside a bare task."""
    name, count = request.probe, int(request.probe.rpartition("-")[2])
    bare, own = _costs(Bare, count), _costs(Own, count)
    for part, limit, figure in zip(_Costs._fields, bare, own, strict=True):
        yield Sample(f"{name}-{part}" if part != "seconds" else name, limit, figure)


class _Costs(NamedTuple):
    """What a run costs; all but ``first`` per node.

    Attributes:
        seconds: Time.
        first: Seconds from the call to the begin of the first node.
        bytes: Of the pickled graph.
        client: CPU time of this process.
        scheduler: The same of the scheduler.
        workers: The same of all workers.
        memory: By how much the scheduler grew in bytes, at most.
    """

    seconds: float
    first: float
    bytes: float
    client: float
    scheduler: float
    workers: float
    memory: float


def _costs(kind: Kind, count: int) -> _Costs:
    with _processes() as (scheduler, client):
        _warm_up(client)
        timer = kind(client, count)
        groups = [
            [psutil.Process()],
            [scheduler],
            [psutil.Process(pid) for pid in client.run(_process_id).values()],
        ]
        before, memory = [_cpu(group) for group in groups], scheduler.memory_info().rss
        with _watched(scheduler) as peak, _graphs() as sizes:
            timed = timer()
        used = [_cpu(group) - first for group, first in zip(groups, before, strict=True)]
        sent = sum(sizes) or len(pickle.dumps(bare_graph(count, "bare")))
        grown = peak[0] - memory
        each = [value / count for value in (sent, *used, grown)]
        return _Costs(timed.seconds / count, timed.first, *each)


def _warm_up(client: Client) -> None:
    for kind in (Bare, Own):
        kind(client, _FEW)()


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _process_id() -> int:
    return psutil.Process().pid


@contextlib.contextmanager
def _watched(process: psutil.Process) -> Iterator[list[int]]:
    """Within this context the most memory of a process is noted."""
    peak, ended = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not ended.wait(_GLANCE):
            peak[0] = max(peak[0], process.memory_info().rss)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _graphs() -> Iterator[list[int]]:
    """Within this context the sizes of the graphs that prunner hands over are noted."""
    sizes: list[int] = []

    def noted(client: Client, batch: Any) -> Any:
        sizes.append(len(pickle.dumps(batch.tasks)))
        return submit(client, batch)

    with mock.patch.object(dispatcher, "submit", noted):
        yield sizes


@contextlib.contextmanager
def _local() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextlib.contextmanager
def _processes() -> Iterator[tuple[psutil.Process, Client]]:
    """A cluster whose scheduler is a process of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = str(Path(folder, "scheduler.json"))
        started: list[psutil.Popen] = []

        def start_process(name: str, *options: str) -> None:
            command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *options]
            command += ["--scheduler-file", file, "--no-dashboard"]
            started.append(
                psutil.Popen(
                    command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )

        try:
            start_process("scheduler", "--host", "127.0.0.1", "--port", "0")
            start_process("worker", "--nworkers", str(WORKERS), "--nthreads", "1")
            with Client(scheduler_file=file, set_as_default=False, timeout=_WAIT) as client:
                client.wait_for_workers(WORKERS, timeout=_WAIT)
                yield psutil.Process(started[0].pid), client
        finally:
            for process in reversed(started):
                for each in (*process.children(recursive=True), process):
                    kill(each)
                process.wait()
