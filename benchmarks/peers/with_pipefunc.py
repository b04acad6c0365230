"""pipefunc: a pipeline of functions, mapped by an executor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from pipefunc import PipeFunc, Pipeline

from benchmarks import nodes
from benchmarks.peers.work import READERS, WORKERS, Run, Work


@contextmanager
def started() -> Iterator[Run]:
    """Start the executor, which starts its processes with the first call."""
    with ProcessPoolExecutor(WORKERS) as executor:

        def run(work: Work) -> Sequence[float]:
            pipeline, inputs, names = _graph(work)
            found = pipeline.map(inputs, executor=executor, storage="dict", show_progress=False)
            outputs = [found[name].output for name in names]
            return outputs if work.kind == "array" else list(outputs[0])

        yield run


def _graph(work: Work) -> tuple[Pipeline, dict[str, Any], list[str]]:
    if work.kind == "array":
        names = [f"total{i}" for i in range(READERS)]
        readers = [PipeFunc(nodes.total, name) for name in names]
        maker = PipeFunc(nodes.make_array, "array")
        return Pipeline([maker, *readers]), {"megabytes": work.size}, names
    if work.kind == "cpu":
        mapped = PipeFunc(nodes.spin, "end", mapspec="loops[i] -> end[i]")
        return Pipeline([mapped]), {"loops": [work.loops] * work.size}, ["end"]
    mapped = PipeFunc(nodes.trivial, "end", mapspec="value[i] -> end[i]")
    return Pipeline([mapped]), {"value": [1] * work.size}, ["end"]
