"""A script that is interrupted or killed in the middle of a run.

Args: start method, address of a listener (host, port), seconds between two nodes.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from multiprocessing.connection import Client

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import ParallelRunner
from tests.processes.failing_nodes import hold_the_interpreter

Address = tuple[str, int]


def make() -> bytes:
    return bytes(100_000)


def wait(data: bytes, address: Address) -> None:
    with Client(address) as connection:
        connection.send([os.getpid(), *_leave_behind()])
        connection.recv()


def _leave_behind() -> list[int]:
    """Start a process that is nobody's child."""
    if sys.platform == "win32":
        return []
    command = "sleep 600 >/dev/null 2>&1 & echo $!"
    return [int(subprocess.check_output(["sh", "-c", command]))]


def hold(data: bytes, address: Address) -> None:
    with Client(address) as connection:
        connection.send([os.getpid()])
        hold_the_interpreter()


def main(start_method: str, host: str, port: str) -> None:
    logging.basicConfig(level=logging.INFO)
    steps = [
        node(make, None, "data", name="make"),
        node(wait, ["data", "address"], None, name="wait"),
        node(hold, ["data", "address"], None, name="hold"),
    ]
    catalog = DataCatalog({"address": MemoryDataset((host, int(port)))})
    try:
        ParallelRunner(2, start_method=start_method).run(pipeline(steps), catalog)
    except KeyboardInterrupt as error:
        print(f"interrupted by {type(error).__name__}", flush=True)
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
