"""Probes of the hand-off: from the end of one node's function to the beginning of the next.

Nothing is taken off for dispatch, which is part of what a pipeline waits for. Consumers that
pause are on both workers, and so one of them in another process than the producer. Each
worker has imported before what the data needs, as it has in any run but its first.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from kedro.pipeline import Pipeline, node

from benchmarks.floors.bare import BareMemory
from benchmarks.floors.dispatch import WORKERS, make_runner
from benchmarks.floors.handoff_data import Mark, bytes_of, consume, make, prepare, produce
from benchmarks.floors.samples import Request, Sample
from benchmarks.running import run_once

_SIZE = 200_000_000  # bytes
_MILLION = 1_000_000
_READING = 0.005  # seconds that the issue allows for it
_PAUSE = 0.3  # seconds; longer than it takes to hand over, so that no worker does both
_ATTEMPTS = 5


class Transfer:
    """Pipelines that hand over one object, run again and again in this process.

    Args:
        kind: What is handed over.
        size: How much of it.
    """

    def __init__(self, kind: str, size: int) -> None:
        self._runner = make_runner()
        self._inputs = {"kind": kind, "size": size}
        self.to_another(2)  # pays for what is done only once in a process

    def to_another(self, consumers: int = 2) -> float:
        """Seconds until a consumer in another process than the producer begins."""
        for _ in range(_ATTEMPTS):
            marks = self._run(consumers, _PAUSE)
            gaps = [began.seconds - end.seconds for end, began in marks if began.pid != end.pid]
            if gaps:
                return min(gaps)
        raise RuntimeError("No consumer has run in another process than the producer.")

    def to_last(self, consumers: int) -> float:
        """Seconds until the last of the consumers begins, which do nothing."""
        return max(began.seconds - end.seconds for end, began in self._run(consumers, 0.0))

    def _run(self, consumers: int, pause: float) -> Sequence[tuple[Mark, Mark]]:
        inputs = {**self._inputs, "pause": pause, "wait": _PAUSE}
        _, outputs = run_once(self._runner, _pipeline(consumers), inputs)
        lengths = {length for _, _, length in outputs.values()}
        assert len(outputs) == consumers and len(lengths) == 1 and lengths.pop() > 0
        return [(Mark(*end), Mark(*began)) for end, began, _ in outputs.values()]


def _pipeline(consumers: int) -> Pipeline:
    ready = [f"ready{i}" for i in range(WORKERS)]
    inputs = ["data", "produced", "pause"]
    return Pipeline(
        [
            *(node(prepare, ["kind", "wait"], name, name=f"prepare-{name}") for name in ready),
            node(produce, ["kind", "size", *ready], ["data", "produced"], name="producer"),
            *(node(consume, inputs, f"end{i}", name=f"consumer{i}") for i in range(consumers)),
        ]
    )


def to_next_node(request: Request) -> Iterator[Sample]:
    """Compare with one ``write()`` and one memcpy of as many bytes."""
    name = request.probe
    kind = name.partition("-")[2]
    bare, transfer = BareMemory(bytes_of(make(kind, _SIZE))), Transfer(kind, _SIZE)
    for _ in range(request.repeats):
        limit, copy = bare.seconds_of_write() + _READING, bare.seconds_of_copy()
        other, chain = transfer.to_another(), transfer.to_last(1)
        yield Sample(name, limit, other)
        yield Sample(f"{name}-chain", limit, chain)
        yield Sample(f"{name}-copy", copy, other)
        yield Sample(f"{name}-chain-copy", copy, chain)


def to_many(request: Request) -> Iterator[Sample]:
    """Compare the time until the last of eight consumers begins with one ``write()``."""
    bare, transfer = BareMemory(_SIZE), Transfer("array", _SIZE)
    for _ in range(request.repeats):
        limit = bare.seconds_of_write() + _READING
        yield Sample("handoff-8-consumers", limit, transfer.to_last(8))


def of_small_objects(request: Request) -> Iterator[Sample]:
    """Compare with one ``pickle.dumps`` plus one ``loads``."""
    data, transfer = make("million", _MILLION), Transfer("million", _MILLION)
    for _ in range(request.repeats):
        limit = _seconds_of_pickling(data)
        yield Sample("handoff-million", limit, transfer.to_another())
        yield Sample("handoff-million-chain", limit, transfer.to_last(1))


def _seconds_of_pickling(data: Any) -> float:
    start = perf_counter()
    copy = pickle.loads(pickle.dumps(data, protocol=5))  # noqa: S301 (made here)
    seconds = perf_counter() - start
    assert len(copy) == len(data)
    return seconds
