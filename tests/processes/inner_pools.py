"""Node functions that start processes of their own, and leave them behind."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

LEFT: list[Any] = []  # what a module keeps for its process
NUMBERS = range(4)
TOTAL = 14


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def square_by(ones: Any, number: int) -> tuple[int, int, str]:
    return int(ones[0]) * number * number, os.getpid(), type(ones).__name__


def summed(squares: Any) -> dict[str, Any]:
    squares = list(squares)
    return {
        "total": sum(each[0] for each in squares),
        "inner": sorted({each[1] for each in squares}),
        "worker": os.getpid(),
        "types": sorted({each[2] for each in squares if len(each) > 2}),
    }


def joblib() -> dict[str, Any]:
    from joblib import Parallel

    return summed(Parallel(n_jobs=2)(calls_of_joblib()))


def joblib_without_end() -> Iterator[dict[str, Any]]:
    from joblib import Parallel

    with Parallel(n_jobs=2) as parallel:  # which keeps its files until it is closed
        yield summed(parallel(calls_of_joblib()))  # saved before the rest runs
        wait_for_ever()


def calls_of_joblib() -> list[Any]:
    import numpy as np
    from joblib import delayed

    ones = np.ones(300_000)  # so large that joblib shares it through a file
    return [delayed(square_by)(ones, number) for number in NUMBERS]


def pool() -> dict[str, Any]:
    with multiprocessing.Pool(2) as inner:
        return summed(inner.map(square, NUMBERS))


def pool_left() -> dict[str, Any]:
    LEFT.append(multiprocessing.Pool(2))
    return summed(LEFT[-1].map(square, NUMBERS))


def executor() -> dict[str, Any]:
    with ProcessPoolExecutor(2) as inner:
        return summed(inner.map(square, NUMBERS))


def executor_left() -> dict[str, Any]:
    LEFT.append(ProcessPoolExecutor(2))
    return summed(LEFT[-1].map(square, NUMBERS))


def manager_left() -> dict[str, Any]:
    manager = multiprocessing.Manager()
    LEFT.append(manager)
    numbers = manager.list(NUMBERS)
    return {**summed(map(square, numbers)), "inner": [manager._process.pid]}  # type: ignore[attr-defined]


def wait_for_ever() -> None:
    import threading

    threading.Event().wait()


def process_left() -> dict[str, Any]:
    busy = multiprocessing.Process(target=wait_for_ever)
    busy.start()
    return {**summed(map(square, NUMBERS)), "inner": [busy.pid]}


def subprocess_left() -> dict[str, Any]:
    code = "import threading; threading.Event().wait()"
    LEFT.append(subprocess.Popen([sys.executable, "-c", code]))
    return {**summed(map(square, NUMBERS)), "inner": [LEFT[-1].pid]}


def nested_run(start_method: str) -> dict[str, Any]:
    """Run a pipeline with prunner inside a node."""
    from kedro.io import DataCatalog, MemoryDataset
    from kedro.pipeline import node, pipeline

    from prunner import ParallelRunner

    steps = [node(square, f"n{n}", f"squared{n}", name=f"square{n}") for n in NUMBERS]
    catalog = DataCatalog({f"n{n}": MemoryDataset(n) for n in NUMBERS})
    runner = ParallelRunner(max_workers=2, start_method=start_method)
    return summed(outputs.load() for outputs in runner.run(pipeline(steps), catalog).values())
