"""A script that is interrupted in the middle of a run on a cluster.

Args: address of the scheduler, address of a meeting (host, port), a file.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from kedro.io import AbstractDataset, DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import DaskRunner
from tests.cluster import nodes


class File(AbstractDataset[int, int]):
    """A number in a file."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def load(self) -> int:
        return int(self._path.read_text(encoding="utf-8"))

    def save(self, data: int) -> None:
        self._path.write_text(str(data), encoding="utf-8")

    def _exists(self) -> bool:
        return self._path.exists()

    def _describe(self) -> dict[str, str]:
        return {"path": str(self._path)}


def main(scheduler: str, host: str, port: str, path: str) -> None:
    logging.basicConfig(level=logging.INFO)
    steps = [
        node(nodes.pid, None, "first", name="make"),
        node(nodes.wait_with, ["first", "address"], "second", name="wait"),
        node(nodes.pid, "second", "third", name="after"),
    ]
    catalog = DataCatalog(
        {
            "address": MemoryDataset((host, int(port))),
            "first": File(f"{path}-first"),
            "second": File(f"{path}-second"),
        }
    )
    try:
        DaskRunner(scheduler).run(pipeline(steps), catalog)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
