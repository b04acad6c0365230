from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
from kedro.io import AbstractDataset, CachedDataset, DataCatalog, MemoryDataset, SharedMemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node
from kedro_datasets.pickle import PickleDataset

from prunner.bridge.data import Exchange
from prunner.processes.book import MAIN_TAG, PackedNode, datasets_of, unpack_node, write_book
from tests.random_nodes import Stuck, join, one


class Own(MemoryDataset):
    """May do more than its base class."""


class WithConnection(PickleDataset):  # type: ignore[misc]
    def __init__(self, filepath):
        super().__init__(filepath=filepath)
        self.connection = threading.Lock()


class OwnNode(Node):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.connection = threading.Lock()


class Stream(AbstractDataset[Any, Any]):
    def load(self):
        return 1

    def save(self, data):
        pass

    def confirm(self):
        pass

    def _describe(self):
        return {}


class CatalogWithConnection(DataCatalog):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.connection = threading.Lock()


class UnpicklableCatalog(DataCatalog):
    def __getstate__(self):
        raise RuntimeError("it stays here")


def book_of(*nodes, catalog_type=DataCatalog, **datasets):
    pipeline = Pipeline(list(nodes))
    catalog = catalog_type(datasets)
    for name in pipeline.datasets():
        catalog.get(name, fallback_to_runtime_pattern=True)
    book, pinned = write_book(pipeline, catalog)
    names = [each.name for each in pipeline.nodes]
    return book, {names[step]: reason for step, reason in pinned.items()}


def node_of(book, step):
    """A node as a worker reads it."""
    packed = PackedNode(*book.nodes[step])
    if packed.function is None:
        return pickle.loads(packed.rest)
    return unpack_node(packed, pickle.loads(book.functions[packed.function]))


def test_an_ordinary_pipeline_leaves_the_parent_whole(tmp_path):
    stored = PickleDataset(filepath=str(tmp_path / "f"))
    book, pinned = book_of(
        node(one, "raw", "a", name="n1"),
        node(join, ["a", "stored"], "b", name="n2"),
        raw=MemoryDataset(1),
        stored=stored,
    )
    assert pinned == {}
    assert {node_of(book, step).name for step in book.nodes} == {"n1", "n2"}
    assert book.datasets.keys() == {"stored"}
    assert str(pickle.loads(book.datasets["stored"])) == str(stored)
    assert book.in_memory == {"raw", "a", "b"}
    assert book.internal == {"a"}
    assert list(pickle.loads(book.catalog).keys()) == []


def test_nodes_are_found_by_their_place_in_the_order_of_the_pipeline():
    nodes = [node(one, f"d{i}", f"d{i + 1}", name=f"n{i}") for i in range(5)]
    book, _ = book_of(*reversed(nodes))
    assert [node_of(book, step).name for step in range(5)] == [n.name for n in nodes]


def test_shared_memory_datasets_are_in_memory_too():
    book, pinned = book_of(node(one, "raw", "a"), raw=MemoryDataset(1), a=SharedMemoryDataset())
    assert book.in_memory == {"raw", "a"}
    assert pinned == {}


def test_a_lambda_may_leave_the_parent():
    book, pinned = book_of(node(lambda value: value + 1, "raw", "a", name="n"))
    assert pinned == {}
    assert node_of(book, 0).run({"raw": 2}) == {"a": 3}


def test_a_node_that_holds_a_lock_stays():
    lock = threading.Lock()

    def locked(value):
        with lock:
            return value

    book, pinned = book_of(
        node(locked, "raw", "a", name="closure"),
        node(Stuck(), "raw", "b", name="instance"),
        node(one, "raw", "c", name="free"),
    )
    paths = {name: reason.partition(", found at ")[2] for name, reason in pinned.items()}
    assert paths == {
        "closure": "func.__closure__[0] (_thread.lock)",
        "instance": "func.lock (_thread.lock)",
    }
    for reason in pinned.values():
        assert reason.startswith("the node cannot be pickled: TypeError: ")
        assert "'_thread.lock'" in reason
    assert len(book.nodes) == 1


def test_a_node_of_a_class_of_ones_own_that_cannot_be_pickled_stays():
    stuck = OwnNode(one, "raw", "a", name="n")
    _, pinned = book_of(stuck)
    assert pinned["n"].endswith(", found at OwnNode.connection (_thread.lock)")


def test_a_tagged_node_stays():
    _, pinned = book_of(
        node(one, "raw", "a", name="tagged", tags=[MAIN_TAG, "other"]),
        node(one, "raw", "b", name="free", tags=["other"]),
    )
    assert pinned == {"tagged": "it is tagged 'prunner.main'"}


def test_nodes_that_use_a_single_process_dataset_stay(tmp_path):
    cached = CachedDataset(PickleDataset(filepath=str(tmp_path / "f")))
    book, pinned = book_of(
        node(one, "raw", "cached", name="saves"),
        node(one, "cached", "b", name="loads"),
        node(one, "b", "c", name="free"),
        cached=cached,
    )
    reason = "dataset 'cached': CachedDataset says that it works in a single process only"
    assert pinned == {"saves": reason, "loads": reason}
    assert "cached" not in book.datasets


def test_nodes_that_use_a_dataset_of_ones_own_in_memory_stay():
    book, pinned = book_of(node(one, "raw", "own", name="n"), own=Own())
    assert pinned == {"n": "dataset 'own': Own keeps its data in the memory of one process"}
    assert "own" not in book.in_memory


def test_nodes_that_use_a_dataset_that_cannot_be_pickled_stay_and_it_is_named(tmp_path):
    _, pinned = book_of(
        node(one, "database", "a", name="loads"),
        node(one, "a", "b", name="free"),
        database=WithConnection(str(tmp_path / "f")),
    )
    assert pinned.keys() == {"loads"}
    assert pinned["loads"].startswith("dataset 'database': it cannot be pickled: TypeError: ")
    assert pinned["loads"].endswith(", found at WithConnection.connection (_thread.lock)")


def test_where_the_catalog_cannot_be_pickled_all_nodes_stay():
    _, pinned = book_of(
        node(one, "raw", "a", name="n1"),
        node(one, "a", "b", name="n2"),
        catalog_type=UnpicklableCatalog,
    )
    reason = "the catalog (UnpicklableCatalog) cannot be pickled: RuntimeError: it stays here"
    assert pinned == {"n1": reason, "n2": reason}


def test_the_attribute_of_a_catalog_is_named_too():
    _, pinned = book_of(node(one, "raw", "a", name="n"), catalog_type=CatalogWithConnection)
    assert pinned["n"].startswith(
        "the catalog (CatalogWithConnection) cannot be pickled: TypeError: "
    )
    assert pinned["n"].endswith(", found at CatalogWithConnection.connection (_thread.lock)")


def test_datasets_that_no_node_uses_are_not_in_the_book(tmp_path):
    book, pinned = book_of(
        node(one, "raw", "a"),
        other=PickleDataset(filepath=str(tmp_path / "f")),
        locked=WithConnection(str(tmp_path / "g")),
        memory=MemoryDataset(threading.Lock(), copy_mode="assign"),
    )
    assert pinned == {}
    assert book.datasets == {}
    assert book.in_memory == {"raw", "a"}


def test_a_dataset_that_its_loader_confirms_may_leave():
    book, pinned = book_of(node(one, "stream", "a", confirms="stream"), stream=Stream())
    assert pinned == {}
    assert "stream" in book.datasets


def test_a_dataset_that_another_node_confirms_stays_with_all_its_nodes():
    _, pinned = book_of(
        node(one, "stream", "a", name="loads"),
        node(one, "a", "b", name="confirms", confirms="stream"),
        node(one, "b", "c", name="free"),
        stream=Stream(),
    )
    assert pinned.keys() == {"loads", "confirms"}
    assert "another one confirms" in pinned["loads"]


def test_a_confirmed_dataset_that_does_not_exist_is_left_to_the_node():
    book, pinned = book_of(node(one, "raw", "a", confirms="nowhere"))
    assert pinned == {}
    assert "nowhere" not in book.datasets


def test_datasets_of_a_node_are_each_named_once():
    each = node(join, ["a", "b", "a"], ["c", "d"], confirms=["a", "e"])
    assert list(datasets_of(each)) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_worker_reads_what_the_parent_wrote(size):
    padding = "x" * size
    book, _ = book_of(node(lambda value: padding, "raw", "a", name="n"), stream=Stream())
    with Exchange.create() as exchange:
        again = exchange.get(exchange.put(book.by_reference()))
        assert node_of(again, 0).run({"raw": 1}) == {"a": padding}
        assert (again.in_memory, again.internal) == (book.in_memory, book.internal)
        assert isinstance(pickle.loads(again.catalog), DataCatalog)
        assert again.datasets.keys() == book.datasets.keys()


class SubclassedNode(Node):
    pass


@pytest.mark.parametrize("kind", [Node, SubclassedNode])
def test_a_node_arrives_as_it_was(kind):
    before = kind(one, ["raw"], ["a"], name="n", tags=["ü"], confirms="s.a", namespace="s")
    book, _ = book_of(before, **{"raw": MemoryDataset(1)})
    after = node_of(book, 0)
    assert type(after) is kind
    assert vars(after) == vars(before)


def test_nodes_that_call_the_same_function_share_it():
    book, _ = book_of(*(node(one, "raw", f"d{i}", name=f"n{i}") for i in range(3)))
    assert len(book.functions) == 1
    assert {packed.function for packed in book.nodes.values()} == {0}
