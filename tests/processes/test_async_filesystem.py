"""Datasets on asynchronous filesystems (S3, ABFS, GCS) are loaded and saved by workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from fsspec.asyn import AsyncFileSystem, get_loop
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.partitions import PartitionedDataset
from kedro_datasets.pickle import PickleDataset

from prunner import ParallelRunner
from tests.processes import async_files
from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.nodes import worker_pid

pytestmark = NEW_AND_COPIED

ROWS = [1, 2, 3]
get_loop()  # whose thread lives as long as this process


def split(table: Any) -> dict[str, Any]:
    return {f"part{x}": pd.DataFrame({"x": [x]}) for x in table["x"]}


def total(parts: dict[str, Any]) -> dict[str, int]:
    return {"total": sum(int(load()["x"].sum()) for load in parts.values()), "pid": os.getpid()}


def describe(numbers: dict[str, int], table: Any) -> dict[str, Any]:
    return {**numbers, "rows": len(table), "second pid": os.getpid()}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(async_files.ROOT, str(tmp_path))
    async_files.CloudFileSystem.clear_instance_cache()
    return tmp_path


def path(name: str) -> str:
    return f"{async_files.PROTOCOL}://bucket/{name}"


def cloud_catalog() -> DataCatalog:
    return DataCatalog(
        {
            "table": CSVDataset(filepath=path("table.csv"), save_args={"index": False}),
            "parts": PartitionedDataset(
                path=path("parts"),
                dataset={"type": CSVDataset, "save_args": {"index": False}},
                filename_suffix=".csv",
            ),
            "numbers": JSONDataset(filepath=path("numbers.json")),
            "described": PickleDataset(filepath=path("described.pkl")),
        }
    )


def steps() -> Any:
    return pipeline(
        [
            node(split, "table", "parts"),
            node(total, "parts", "numbers"),
            node(describe, ["numbers", "table"], "described"),
        ]
    )


@pytest.mark.parametrize("is_async", [False, True])
def test_nodes_run_in_workers(start_method, cloud, is_async, caplog):
    catalog = cloud_catalog()
    filesystem = fsspec.filesystem(async_files.PROTOCOL)
    assert isinstance(filesystem, AsyncFileSystem)
    # The parent uses it first: the thread of its event loop is there before any fork, and so is
    # the memory of a folder without parts.
    catalog.save("table", pd.DataFrame({"x": ROWS}))
    catalog.save("parts", {"part0": pd.DataFrame({"x": [0]})})
    assert list(catalog.load("parts")) == ["part0"]

    runner = ParallelRunner(max_workers=2, is_async=is_async, start_method=start_method)
    runner.run(steps(), catalog)

    described = catalog.load("described")
    assert (described["total"], described["rows"]) == (sum(ROWS), len(ROWS))
    assert worker_pid() not in (described["pid"], described["second pid"])
    assert not [each for each in caplog.messages if "main process" in each]
    assert sorted(catalog.load("parts")) == ["part0", "part1", "part2", "part3"]
    assert (cloud / "bucket" / "numbers.json").is_file()
