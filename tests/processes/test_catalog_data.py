"""Everything that a catalog can hold arrives as under SequentialRunner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import (
    AbstractDataset,
    CachedDataset,
    DataCatalog,
    MemoryDataset,
    SharedMemoryDataCatalog,
)
from kedro.pipeline import node, pipeline
from kedro.runner import AbstractRunner, SequentialRunner

from prunner import ParallelRunner
from tests.processes import nodes
from tests.processes.conftest import NEW_AND_COPIED

pytestmark = NEW_AND_COPIED

pytest.importorskip("kedro_datasets")


def run(steps, catalog, start_method, **options):
    runner = ParallelRunner(max_workers=2, start_method=start_method, **options)
    outputs = runner.run(pipeline(steps), catalog)
    return {name: dataset.load() for name, dataset in outputs.items()}


def test_in_memory_data_explicit_and_implied_and_parameters(start_method):
    steps = [
        node(nodes.add, ["number", "params:more"], "implied"),
        node(nodes.double, "implied", "explicit"),
        node(nodes.add, ["implied", "explicit", "params:nested.deep"], "result"),
    ]

    def catalog():
        parameters = {"params:more": MemoryDataset(1), "params:nested.deep": MemoryDataset(100)}
        inputs = {"number": MemoryDataset(2), "explicit": MemoryDataset()}
        return DataCatalog({**inputs, **parameters})

    expected = SequentialRunner().run(pipeline(steps), catalog())["result"].load()
    assert run(steps, catalog(), start_method) == {"result": expected} == {"result": 109}


def test_a_consumer_may_change_what_it_got_and_nobody_else_sees_it(start_method):
    steps = [
        node(nodes.ones, "params:size", "array", name="make"),
        *[node(nodes.spoil, "array", f"sum{i}", name=f"spoil{i}") for i in range(4)],
    ]
    catalog = DataCatalog({"params:size": MemoryDataset(100_000)})
    assert set(run(steps, catalog, start_method).values()) == {100_000.0 + 6}


def test_frames_and_models_arrive_whole(start_method):
    frame = pd.DataFrame({"n": np.arange(5000), "text": [f"ä{i}" for i in range(5000)]})
    steps = [
        node(nodes.identity, "frame", "copy"),
        node(nodes.identity, "copy", "again"),
        node(nodes.fit, "copy", "model"),
    ]
    outputs = run(steps, DataCatalog({"frame": MemoryDataset(frame)}), start_method)
    pd.testing.assert_frame_equal(outputs["again"], frame)
    assert outputs["model"].predict([[10.0]]).round(6).tolist() == [20.0]


def test_persistent_versioned_factory_and_transcoded_datasets(start_method, tmp_path):
    config: dict[str, dict[str, Any]] = {
        "raw": {"type": "pandas.CSVDataset", "filepath": f"{tmp_path.as_posix()}/raw.csv"},
        "versioned": {
            "type": "json.JSONDataset",
            "filepath": f"{tmp_path.as_posix()}/v.json",
            "versioned": True,
        },
        "{name}_file": {
            "type": "json.JSONDataset",
            "filepath": f"{tmp_path.as_posix()}/{{name}}.json",
        },
        "table@pandas": {
            "type": "pandas.CSVDataset",
            "filepath": f"{tmp_path.as_posix()}/table.csv",
        },
        "table@text": {
            "type": "text.TextDataset",
            "filepath": f"{tmp_path.as_posix()}/table.csv",
        },
    }
    pd.DataFrame({"x": [1, 2, 3]}).to_csv(tmp_path / "raw.csv", index=False)
    steps = [
        node(nodes.sum_of_x, "raw", "total_file"),
        node(nodes.identity, "total_file", "versioned"),
        node(nodes.identity, "versioned", "other_file"),
        node(nodes.identity, "raw", "table@pandas"),
        node(nodes.identity, "table@text", "text"),
    ]
    catalog = DataCatalog.from_config(config)
    catalog.exists("versioned")  # resolves a version that the run makes stale
    outputs = run(steps, catalog, start_method)
    assert outputs["other_file"] == 6
    assert outputs["text"].split() == ["x", "1", "2", "3"]
    assert json.loads((tmp_path / "total.json").read_text(encoding="utf-8")) == 6
    assert len(list(tmp_path.glob("v.json/*/v.json"))) == 1


def test_a_new_version_is_loaded_even_where_an_older_one_was_resolved_before(
    start_method, tmp_path
):
    path = tmp_path / "v.json"
    config = {
        "versioned": {"type": "json.JSONDataset", "filepath": path.as_posix(), "versioned": True}
    }
    DataCatalog.from_config(config, save_version="2020-01-01T00.00.00.000Z").save("versioned", 1)
    catalog = DataCatalog.from_config(config)
    assert catalog.exists("versioned")
    steps = [node(nodes.identity, "new", "versioned"), node(nodes.identity, "versioned", "out")]
    catalog["new"] = MemoryDataset(2)
    assert run(steps, catalog, start_method) == {"out": 2}


def test_a_partitioned_dataset_is_written_and_then_read(start_method, tmp_path):
    config = {
        "parts": {
            "type": "partitions.PartitionedDataset",
            "path": tmp_path.as_posix(),
            "dataset": "pandas.CSVDataset",
            "filename_suffix": ".csv",
        }
    }
    steps = [
        node(nodes.frames_by_name, "params:names", "parts"),
        node(nodes.sum_of_parts, "parts", "total"),
    ]
    catalog = DataCatalog.from_config(config)
    assert list(catalog.load("parts")) == [] if any(tmp_path.iterdir()) else True
    catalog["params:names"] = MemoryDataset(["a", "b", "c"])
    assert run(steps, catalog, start_method) == {"total": 3}


def test_a_cached_dataset_stays_in_the_main_process(start_method, tmp_path):
    config = {"type": "json.JSONDataset", "filepath": f"{tmp_path.as_posix()}/c.json"}
    catalog = DataCatalog({"cached": CachedDataset(config), "seven": MemoryDataset(7)})
    steps = [
        node(nodes.identity, "seven", "cached"),
        node(nodes.with_pid, "cached", "here"),
        node(nodes.with_pid, "seven", "elsewhere"),
    ]
    outputs = run(steps, catalog, start_method)
    here = nodes.worker_pid()
    assert outputs["here"] == (7, here)
    assert outputs["elsewhere"][1] != here


def test_generator_nodes_and_nodes_without_inputs_or_outputs(start_method, tmp_path):
    trace = tmp_path / "trace.txt"
    config = {
        "lines": {
            "type": "text.TextDataset",
            "filepath": f"{tmp_path.as_posix()}/lines.txt",
            "fs_args": {"open_args_save": {"mode": "a", "encoding": "utf-8"}},
        }
    }
    catalog = DataCatalog.from_config(config)
    catalog["params:path"] = MemoryDataset(str(trace))
    steps = [
        node(nodes.three_lines, None, "lines"),
        node(nodes.last_of_three, None, "last"),
        node(nodes.write_trace, "params:path", None),
        node(nodes.identity, "lines", "text"),
    ]
    assert run(steps, catalog, start_method) == {"text": "line 0\nline 1\nline 2\n", "last": 2}
    assert trace.read_text(encoding="utf-8") == "ran"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_confirms(start_method, tmp_path, elsewhere):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name, encoding="utf-8")
    config = {
        "news": {
            "type": "partitions.IncrementalDataset",
            "path": tmp_path.as_posix(),
            "dataset": "text.TextDataset",
            "filename_suffix": ".txt",
        }
    }
    catalog = DataCatalog.from_config(config)
    steps = [
        node(nodes.joined, "news", "text", confirms=None if elsewhere else "news"),
        node(nodes.identity, "text", "out", confirms="news" if elsewhere else None),
    ]
    assert run(steps, catalog, start_method) == {"out": "ab"}
    assert DataCatalog.from_config(config).load("news") == {}


def test_only_missing_outputs(start_method, tmp_path):
    config = {
        name: {"type": "json.JSONDataset", "filepath": f"{tmp_path.as_posix()}/{name}.json"}
        for name in ("there", "missing")
    }
    catalog = DataCatalog.from_config(config)
    catalog.save("there", 1)
    catalog["one"] = MemoryDataset(1)
    steps = [
        node(nodes.fail, "one", "there"),  # must not run
        node(nodes.identity, "there", "missing"),
    ]
    runner = ParallelRunner(max_workers=2, start_method=start_method)
    if "only_missing_outputs" not in AbstractRunner.run.__code__.co_varnames:
        pytest.skip("this Kedro cannot run missing outputs only")
    runner.run(pipeline(steps), catalog, only_missing_outputs=True)
    assert catalog.load("missing") == 1


def test_catalog_validators(start_method):
    pytest.importorskip("kedro.validation.core")
    config = {"number": {"type": "MemoryDataset", "validator": "tests.processes.nodes.Positive"}}
    try:
        catalog = DataCatalog.from_config(config)
    except Exception as error:  # Kedro before catalog validators
        pytest.skip(str(error))
    steps = [node(nodes.identity, "minus", "number", name="bad")]
    catalog["minus"] = MemoryDataset(-1)
    with pytest.raises(Exception, match="not positive") as sequential:
        SequentialRunner().run(pipeline(steps), catalog)
    with pytest.raises(type(sequential.value), match="not positive"):
        run(steps, catalog, start_method)


class LoudCatalog(DataCatalog):
    """A project's own catalog class: what it does to data is done in workers too."""

    def load(self, ds_name: str, version: str | None = None) -> Any:
        return ("loud", super().load(ds_name, version))


def test_a_custom_catalog_class(start_method):
    catalog = LoudCatalog({"one": MemoryDataset(1)})
    assert run([node(nodes.identity, "one", "out")], catalog, start_method) == {"out": ("loud", 1)}


def test_a_shared_memory_catalog_passed_by_hand(start_method):
    catalog = SharedMemoryDataCatalog({"one": MemoryDataset(1)})
    steps = [node(nodes.double, "one", "two"), node(nodes.double, "two", "four")]
    assert run(steps, catalog, start_method) == {"four": 4}


class NotedDataset(MemoryDataset):
    """A class derived from MemoryDataset may do anything: it stays where it is."""

    def load(self) -> Any:
        return ("noted", super().load())


def test_a_class_derived_from_memory_dataset_keeps_its_ways(start_method):
    catalog = DataCatalog({"one": MemoryDataset(1), "noted": NotedDataset()})
    steps = [node(nodes.double, "one", "noted"), node(nodes.identity, "noted", "out")]
    assert run(steps, catalog, start_method) == {"out": ("noted", 2)}


class ReleasedDataset(AbstractDataset[Any, Any]):
    """Writes down when it is released, in the process that made it."""

    def __init__(self, filepath: str) -> None:
        self._path = Path(filepath)

    def load(self) -> Any:
        return json.loads(self._path.read_text(encoding="utf-8"))

    def save(self, data: Any) -> None:
        self._path.write_text(json.dumps(data), encoding="utf-8")

    def _release(self) -> None:
        RELEASED.append(self._path.stem)

    def _describe(self) -> dict[str, Any]:
        return {}


RELEASED: list[str] = []


def test_datasets_are_released_after_their_last_consumer(start_method, tmp_path):
    RELEASED.clear()
    names = ["first", "second", "kept"]
    catalog = DataCatalog({n: ReleasedDataset(str(tmp_path / f"{n}.json")) for n in names})
    catalog["one"] = MemoryDataset(1)
    steps = [
        node(nodes.identity, "one", "first"),
        node(nodes.identity, "first", "second"),
        node(nodes.add, ["first", "second"], "kept"),
    ]
    assert run(steps, catalog, start_method) == {"kept": 2}
    # Twice where a worker saved: then also what the main process knew of it before is forgotten.
    assert sorted(RELEASED) == ["first", "first", "kept", "second", "second"]


def test_async_loading_and_saving(start_method):
    steps = [
        node(nodes.add, ["a", "b"], "sum"),
        node(nodes.both, ["sum", "a"], ["left", "right"]),
    ]
    catalog = DataCatalog({"a": MemoryDataset(1), "b": MemoryDataset(2)})
    assert run(steps, catalog, start_method, is_async=True) == {"left": 3, "right": 1}


def test_unpicklable_input_and_what_depends_on_it_stay_in_the_main_process(start_method):
    catalog = DataCatalog({"stuck": MemoryDataset(nodes.Stuck()), "one": MemoryDataset(1)})
    steps = [
        node(nodes.identity, "stuck", "still_stuck", name="here", tags="prunner.main"),
        node(nodes.with_pid, "still_stuck", "out", name="after"),
        node(nodes.with_pid, "one", "free", name="elsewhere"),
    ]
    outputs = run(steps, catalog, start_method)
    assert outputs["out"][1] == nodes.worker_pid() != outputs["free"][1]


def test_lambdas_closures_and_functions_of_this_module(start_method):
    bonus = 10

    def closure(value):
        return value + bonus

    steps = [node(lambda x: x + 1, "one", "two", name="lambda"), node(closure, "two", "out")]
    assert run(steps, DataCatalog({"one": MemoryDataset(1)}), start_method) == {"out": 12}
