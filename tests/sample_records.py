"""Records of runs that never were: random graphs, carried out by imaginary workers."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace
from typing import Any

from prunner.sessions.records import (
    MemorySample,
    NodeRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    Transfer,
    Try,
)

BEGAN = 1_750_000_000.0
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<b>bold</b><img src=x onerror=alert(3)>",
    "quotes \" and ' and & and &lt; and %{x} and $name ${name}",
    "<a href='https://example.invalid/'>link</a>",
    "emoji \U0001f40d\U0001f9ea and \u202eright to left",
    "long_" + "x" * 300,
    "two\nlines\tand\x00\x07 control \u2028 characters",
    "{{ jinja }} -->  <!-- ]]>",
)
_VERBS = ("clean", "join", "split", "train", "score", "plot", "features", "aggregate", "encode")


def sample_run(
    nodes: int = 5,
    workers: int = 2,
    seed: int = 0,
    names: tuple[str, ...] = (),
    **changes: Any,
) -> RunRecord:
    """A run that completed, with a plausible schedule; the same one for the same arguments."""
    draw = random.Random(seed)
    records = [_node(step, draw, names) for step in range(nodes)]
    records = _carry_out(records, workers, draw)
    ended = max((node.ended or BEGAN for node in records), default=BEGAN) + 0.2
    run = RunRecord(
        key="2025-06-15T15.06.40.000Z",
        run_id="2025-06-15T15.06.40.000Z",
        session="2025-06-15T15.06.39.000Z",
        parameters={"pipeline_names": ["__default__"], "env": "local", "tags": ["nightly"]},
        runner="prunner.ParallelRunner",
        options={"max_workers": workers},
        outcome=Outcome.COMPLETED,
        started=BEGAN,
        ended=ended,
        host="orchard",
        pid=1000,
        cpus=max(workers, 2),
        memory_total=16_000_000_000,
        start_method="loky",
        pids={worker: 1001 + worker for worker in range(workers)},
        nodes=tuple(records),
        memory=tuple(_memory(ended - BEGAN, workers, draw)),
    )
    return replace(run, **changes)


def failed_run(
    nodes: int = 12, workers: int = 3, seed: int = 3, names: tuple[str, ...] = ()
) -> RunRecord:
    """A run in which one node failed twice, so that those after it were skipped."""
    run = sample_run(nodes, workers, seed, names)
    parents = sorted({each for node in run.nodes for each in node.parents})
    bad = parents[len(parents) // 2]
    lost = {bad}
    for node in run.nodes:
        if lost & set(node.parents):
            lost.add(node.step)
    changed = []
    for node in run.nodes:
        if node.step == bad:
            assert node.started is not None and node.ended is not None
            half = (node.started + node.ended) / 2
            again = Try(node.worker or 0, node.started, half, "ValueError: <b>bad</b> value")
            node = replace(
                node,
                outcome=Outcome.FAILED,
                started=half,
                loads=(),
                saves=(),
                run_seconds=None,
                tries=(again,),
                error="ValueError: <b>bad</b> value",
            )
        elif node.step in lost:
            node = _never(node, Outcome.SKIPPED)
        changed.append(node)
    error = {
        "type": "ValueError",
        "value": "<b>bad</b> value",
        "traceback": 'Traceback (most recent call last):\n  File "nodes.py", line 7, in train\n'
        "ValueError: <b>bad</b> value\n",
    }
    return replace(
        run,
        nodes=tuple(changed),
        outcome=Outcome.FAILED,
        error=error,
        resume={"from_nodes": [run.nodes[bad].name]},
    )


def spread(run: RunRecord, *hosts: str | None) -> RunRecord:
    """The same run with its workers on these hosts, in turn; ``None`` for its own."""
    found = {worker: hosts[worker % len(hosts)] for worker in run.pids}
    nodes = [replace(n, host=None if n.worker is None else found.get(n.worker)) for n in run.nodes]
    elsewhere = {worker: host for worker, host in found.items() if host is not None}
    return replace(run, hosts=elsewhere, nodes=tuple(nodes), start_method=None, memory=())


def sample_session(run: RunRecord) -> SessionRecord:
    return SessionRecord(
        key="2025-06-15T15.06.39.000Z",
        session_id="2025-06-15T15.06.39.000Z",
        data={
            "package_name": "orchard",
            "project_path": "/srv/orchard",
            "env": "local",
            "git": {"commit_sha": "a1b2c3d", "dirty": True},
            "kedro_version": "1.0.0",
            "python_version": "3.12.1",
        },
        outcome=run.outcome,
        started=run.started - 1,
        ended=run.ended,
    )


def _never(node: NodeRecord, outcome: Outcome) -> NodeRecord:
    return NodeRecord(step=node.step, name=node.name, parents=node.parents, outcome=outcome)


def _node(step: int, draw: random.Random, names: tuple[str, ...]) -> NodeRecord:
    verb = draw.choice(_VERBS)
    name = names[step] if step < len(names) else f"{verb}_{step}"
    low = max(0, step - 30)
    parents = draw.sample(range(low, step), k=min(step - low, draw.choice((0, 1, 1, 2))))
    return NodeRecord(
        step=step,
        name=name,
        function=f"orchard.nodes.{verb}",
        parents=tuple(sorted(parents)),
        pinned="it is tagged 'prunner.main'" if draw.random() < 0.05 else None,
    )


def _carry_out(nodes: list[NodeRecord], workers: int, draw: random.Random) -> list[NodeRecord]:
    """Each node when its parents have ended and a worker is free, in the order of the pipeline."""
    free = [(BEGAN + 0.3, worker) for worker in range(workers)]
    main = BEGAN
    done: list[NodeRecord] = []
    for node in nodes:
        queued = max((done[each].ended or 0.0 for each in node.parents), default=BEGAN)
        if node.pinned:
            done.append(_timed(node, -1, queued, max(queued, main), draw))
            main = done[-1].ended or 0.0
        else:
            at, worker = heapq.heappop(free)
            done.append(_timed(node, worker, queued, max(queued, at), draw))
            heapq.heappush(free, (done[-1].ended or 0.0, worker))
    return done


def _timed(
    node: NodeRecord, worker: int, queued: float, started: float, draw: random.Random
) -> NodeRecord:
    now = started + 0.002
    loads = []
    for each in node.parents:
        loads.append(Transfer(f"data_{each}", now, draw.uniform(0.01, 0.4), draw.randrange(10**9)))
        now += loads[-1].seconds
    run_seconds = draw.lognormvariate(0, 1)
    now += run_seconds
    save = Transfer(f"data_{node.step}", now, draw.uniform(0.01, 0.6), draw.randrange(10**9))
    tries: tuple[Try, ...] = ()
    if draw.random() < 0.05:
        tries = (Try(worker, started, started + 0.3, "WorkerDied: exit code 1"),)
        started += 0.3
        loads = [replace(each, began=each.began + 0.3) for each in loads]
        save = replace(save, began=save.began + 0.3)
    return replace(
        node,
        outcome=Outcome.COMPLETED,
        worker=worker,
        pid=1001 + worker,
        queued=queued,
        started=started,
        ended=save.began + save.seconds + draw.uniform(0.001, 0.05),
        loads=tuple(loads),
        run_seconds=run_seconds,
        saves=(save,),
        peak_memory=draw.randrange(10**7, 10**9),
        tries=tries,
    )


def _memory(seconds: float, workers: int, draw: random.Random) -> list[MemorySample]:
    free, samples = 12_000_000_000, []
    for number in range(200):
        free = min(max(free + draw.randrange(-(10**9), 10**9), 10**9), 15 * 10**9)
        used = {worker: draw.randrange(10**8, 10**9) for worker in range(workers)}
        samples.append(MemorySample(BEGAN + seconds * number / 200, free, used))
    return samples
