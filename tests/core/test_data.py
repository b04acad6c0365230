from __future__ import annotations

import os
import pickle
import re
import stat
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner.bridge import data as data_module
from prunner.bridge import maps, recycling
from prunner.bridge.data import INLINE_LIMIT, Exchange, ExchangeDataset
from prunner.errors import DataTransferError
from prunner.memory import share_inputs
from prunner.processes.book import write_book

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX keeps a file while it is mapped")
SMALL, LARGE = 10, 10_000


@pytest.fixture
def exchange():
    with Exchange.create() as exchange:
        yield exchange


@pytest.fixture(scope="module")
def shared_exchange():
    with Exchange.create() as exchange:
        yield exchange


def files_of(exchange):
    return sorted(p for folder in exchange.folders for p in Path(folder).glob("*"))


# --- what arrives -----------------------------------------------------------------------------

plain_objects = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.binary().map(bytearray)
    | st.datetimes(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


@given(plain_objects)
def test_plain_objects_arrive_equal(shared_exchange, value):
    arrived = shared_exchange.get(shared_exchange.put(value))
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: np.arange(n, dtype=np.float64),
        lambda n: np.arange(n, dtype=">i2"),
        lambda n: np.arange(n) % 2 == 0,
        lambda n: np.arange(n).astype("complex64"),
        lambda n: np.array([f"text {i}" for i in range(n)]),
        lambda n: np.array(["2020-01-01"] * n, dtype="datetime64[ns]"),
        lambda n: np.array([(i, i / 2) for i in range(n)], dtype=[("a", "i4"), ("b", "f8")]),
        lambda n: np.array([{"i": i} for i in range(n)], dtype=object),
        lambda n: np.arange(n * 2).reshape(2, n),
        lambda n: np.asfortranarray(np.arange(n * 2).reshape(2, n)),
        lambda n: np.arange(n * 3)[::3],
        lambda n: np.arange(n)[::-1],
        lambda n: np.arange(n * 2).reshape(2, n)[:, 1:-1],
        lambda n: np.broadcast_to(np.arange(n), (3, n)),
        lambda n: np.zeros((n, 0, 3)),
        lambda n: np.array(n),
        lambda n: np.ma.masked_greater(np.arange(n), 3),
        lambda n: np.rec.array([(i, i / 2) for i in range(n)], dtype=[("a", "i4"), ("b", "f8")]),
    ],
)
def test_an_array_arrives_equal_and_writable(exchange, make, size):
    array = make(size)
    arrived = exchange.get(exchange.put(array))
    np.testing.assert_array_equal(arrived, array)
    assert (arrived.dtype, arrived.shape, type(arrived)) == (array.dtype, array.shape, type(array))
    assert arrived.flags.writeable
    if array.flags.forc:
        assert arrived.flags.f_contiguous == array.flags.f_contiguous


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_read_only_array_arrives_writable_as_from_a_memory_dataset(exchange, size):
    array = np.arange(size)
    array.flags.writeable = False
    arrived = exchange.get(exchange.put(array))
    np.testing.assert_array_equal(arrived, array)
    assert MemoryDataset(array).load().flags.writeable
    assert arrived.flags.writeable


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_frame_with_read_only_columns_arrives_writable(exchange, size):
    column = np.arange(size)
    column.flags.writeable = False
    arrived = exchange.get(exchange.put(pd.DataFrame({"a": column}, copy=False)))
    arrived.loc[0, "a"] = 99
    assert arrived["a"].tolist()[:3] == [99, 1, 2]


def test_an_empty_array_arrives_empty(exchange):
    assert exchange.get(exchange.put(np.empty(0))).shape == (0,)
    assert exchange.get(exchange.put([np.empty(0), np.zeros(LARGE), np.empty(0)]))[2].size == 0


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
def test_a_frame_arrives_equal_and_writable(exchange, size):
    frame = pd.DataFrame(
        {
            "number": np.arange(size, dtype="float64"),
            "text": pd.Series([f"row {i}" for i in range(size)], dtype="object"),
            "kind": pd.Categorical(["a" if i % 2 else "b" for i in range(size)]),
            "moment": pd.date_range("2020-01-01", periods=size, freq="h"),
            "maybe": pd.array([None if i % 3 else i for i in range(size)], dtype="Int64"),
        }
    )
    arrived = exchange.get(exchange.put(frame))
    pd.testing.assert_frame_equal(arrived, frame)
    arrived["number"] += 1
    if size:
        arrived.loc[0, "text"] = "changed"
        assert frame.loc[0, "text"] == "row 0"


def test_several_arrays_in_one_object_arrive_in_their_places(exchange):
    value: dict[str, Any] = {"a": np.arange(LARGE), "b": [np.ones(3), np.arange(LARGE) * 2.5]}
    arrived = exchange.get(exchange.put(value))
    np.testing.assert_array_equal(arrived["a"], value["a"])
    np.testing.assert_array_equal(arrived["b"][0], value["b"][0])
    np.testing.assert_array_equal(arrived["b"][1], value["b"][1])


def test_buffers_are_aligned_for_any_array_element(exchange):
    ref = exchange.put([np.ones(LARGE + i, dtype="i1") for i in range(5)])
    arrays = Exchange(exchange.folders).get(ref)  # as a worker, which maps files on Windows too
    assert [array.ctypes.data % 64 for array in arrays] == [0] * 5


def test_functions_and_classes_of_the_moment_arrive(exchange):
    class Local:
        def __init__(self, value):
            self.value = value

    offset = 4
    function = exchange.get(exchange.put(lambda value: value + offset))
    arrived = exchange.get(exchange.put(Local(np.arange(LARGE))))
    assert function(3) == 7
    assert type(arrived).__name__ == "Local"
    assert arrived.value.sum() == sum(range(LARGE))


# --- small and large --------------------------------------------------------------------------


def test_a_small_object_rides_in_the_message(exchange):
    ref = exchange.put("small")
    assert ref.path is None
    assert ref.inline is not None
    assert len(ref.inline) == ref.size
    assert files_of(exchange) == []


def test_a_large_object_gets_a_file(exchange):
    ref = exchange.put(np.arange(LARGE))
    assert ref.inline is None
    assert [str(path) for path in files_of(exchange)] == [ref.path]
    assert os.path.getsize(ref.path) == ref.size


def test_the_limit_is_the_largest_size_that_rides_in_the_message(exchange):
    overhead = exchange.put(bytes(1000)).size - 1000
    at_the_limit = exchange.put(bytes(INLINE_LIMIT - overhead))
    above = exchange.put(bytes(INLINE_LIMIT - overhead + 1))
    assert (at_the_limit.size, at_the_limit.path) == (INLINE_LIMIT, None)
    assert above.size == INLINE_LIMIT + 1
    assert above.path is not None
    assert len(exchange.get(at_the_limit)) + 1 == len(exchange.get(above))


def test_a_reference_survives_its_message(exchange):
    for value in ("small", list(range(LARGE))):
        ref = pickle.loads(pickle.dumps(exchange.put(value)))
        assert exchange.get(ref) == value


# --- each consumer has its own ----------------------------------------------------------------


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_no_consumer_sees_what_another_one_writes(exchange, size):
    ref = exchange.put(np.arange(size))
    first, second = exchange.get(ref), exchange.get(ref)
    first[:] = -1
    np.testing.assert_array_equal(second, np.arange(size))
    np.testing.assert_array_equal(exchange.get(ref), np.arange(size))


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_later_change_of_the_original_is_not_seen(exchange, size):
    original = np.arange(size)
    ref = exchange.put(original)
    original[:] = -1
    np.testing.assert_array_equal(exchange.get(ref), np.arange(size))


@posix
def test_what_was_loaded_stays_usable_when_the_file_is_gone(exchange):
    ref = exchange.put(np.arange(LARGE))
    array = exchange.get(ref)
    exchange.release(ref)
    assert files_of(exchange) == []
    array[0] = 7
    assert array[:3].tolist() == [7, 1, 2]


def test_what_the_parent_loaded_stays_usable_after_the_run():
    with Exchange.create() as exchange:
        array = exchange.get(exchange.put(np.arange(LARGE)))
    array[0] = 7
    assert array[:3].tolist() == [7, 1, 2]


def test_a_worker_reads_and_writes_in_the_folders_of_the_run(exchange):
    worker = Exchange(exchange.folders)
    ref = worker.put(np.arange(LARGE))
    assert os.path.dirname(str(ref.path)) == exchange.folders[0]
    assert exchange.get(ref).sum() == worker.get(ref).sum()


def test_two_exchanges_of_one_process_do_not_touch_each_others_files(exchange):
    second = Exchange(exchange.folders)
    refs = [each.put(np.full(LARGE, i)) for i, each in enumerate([exchange, second])]
    assert [exchange.get(ref)[0] for ref in refs] == [0, 1]


# --- what cannot be handed over ---------------------------------------------------------------


def refuse_to_return(_):
    raise RuntimeError("no way back")


class OneWay:
    def __init__(self, padding=b""):
        self.padding = padding

    def __reduce__(self):
        return refuse_to_return, (self.padding,)


class Holder:
    def __init__(self):
        self.lock = threading.Lock()


def test_what_cannot_be_pickled_is_named(exchange):
    with pytest.raises(DataTransferError) as caught:
        exchange.put(Holder())
    text = str(caught.value)
    assert "tests.core.test_data.Holder cannot be pickled" in text
    assert "'_thread.lock' object, found at Holder.lock (_thread.lock)" in text
    assert "prunner.main" in text
    assert isinstance(caught.value.__cause__, TypeError)
    assert files_of(exchange) == []


@pytest.mark.parametrize("padding", [b"", bytes(2 * INLINE_LIMIT)])
def test_what_cannot_be_unpickled_says_so_where_it_is_loaded(exchange, padding):
    ref = exchange.put(OneWay(padding))
    with pytest.raises(DataTransferError, match="RuntimeError: no way back") as caught:
        exchange.get(ref)
    assert f"{ref.size} bytes could not be unpickled in process {os.getpid()}" in str(caught.value)


# --- folders ----------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path):
    """A folder in which nothing can be written, also by root."""
    file = tmp_path / "file"
    file.touch()
    return str(file / "prunner-full")


@pytest.fixture
def roomy(tmp_path):
    return str(tmp_path / "prunner-roomy")


def test_where_the_first_folder_takes_nothing_the_second_one_does(full, roomy):
    exchange = Exchange([full, roomy])
    ref = exchange.put(np.arange(LARGE))
    assert os.path.dirname(str(ref.path)) == roomy
    assert exchange.get(ref).sum() == sum(range(LARGE))


def test_a_file_that_was_begun_in_a_full_folder_is_removed(tmp_path, roomy, monkeypatch):
    written = []

    def fill_up(file, part):
        if roomy not in file.name:
            written.append(file.name)
            raise OSError(28, "No space left on device")
        whole(file, part)

    whole = recycling.write_all
    monkeypatch.setattr(data_module, "write_all", fill_up)
    exchange = Exchange([str(tmp_path / "prunner-small"), roomy])
    ref = exchange.put(np.arange(LARGE))
    assert exchange.get(ref).sum() == sum(range(LARGE))
    assert len(written) == 1
    assert not os.path.exists(written[0])


def test_where_no_folder_takes_it_the_error_says_how_much_was_wanted_where(full, tmp_path):
    exchange = Exchange([full, str(tmp_path / "file" / "prunner-other")])
    assert exchange.get(exchange.put("small")) == "small"  # needs no folder
    with pytest.raises(DataTransferError) as caught:
        exchange.put(np.zeros(100_000, dtype="i1"))
    (size,) = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) bytes", str(caught.value)))
    assert 100_000 < size < 101_000
    for folder in exchange.folders:
        assert f"{folder}: " in str(caught.value)
    assert "catalog" in str(caught.value)


@posix
@pytest.mark.parametrize("index", [0, 1])
def test_folders_are_for_this_user_only(index, full, roomy):
    former = os.umask(0)
    try:
        Exchange([full, roomy][1 - index :]).put(np.arange(LARGE))
        mode = os.stat(roomy).st_mode
    finally:
        os.umask(former)
    assert stat.S_IMODE(mode) == 0o700


def test_release_removes_the_file_of_this_object_only(exchange):
    first, second = exchange.put(np.arange(LARGE)), exchange.put(np.arange(LARGE))
    exchange.release(first)
    assert [str(path) for path in files_of(exchange)] == [second.path]
    exchange.release(first)  # once more does no harm
    exchange.release(exchange.put("small"))
    assert [str(path) for path in files_of(exchange)] == [second.path]


def test_a_file_that_cannot_be_removed_yet_is_removed_with_the_next_one(exchange, monkeypatch):
    first, second = exchange.put(np.arange(LARGE)), exchange.put(np.arange(LARGE))
    mapped = {first.path}
    unlink = os.unlink

    def as_on_windows(path):
        if path in mapped:
            raise PermissionError(13, "used by another process")
        unlink(path)

    monkeypatch.setattr(os, "unlink", as_on_windows)
    exchange.release(first)
    assert os.path.exists(first.path)
    mapped.clear()
    exchange.release(second)
    assert files_of(exchange) == []


def test_close_removes_everything(roomy):
    exchange = Exchange.create()
    second = Exchange([roomy])
    for each in (exchange, second):
        each.put(np.arange(LARGE))
        each.close()
        assert not any(os.path.exists(folder) for folder in each.folders)
        each.close()  # once more does no harm


def test_an_error_in_the_run_removes_everything_too():
    with pytest.raises(ZeroDivisionError), Exchange.create() as exchange:
        exchange.put(np.arange(LARGE))
        _ = 1 / 0
    assert not any(os.path.exists(folder) for folder in exchange.folders)


# --- ExchangeDataset --------------------------------------------------------------------------


def error_of(action):
    with pytest.raises(DatasetError) as caught:
        action()
    return type(caught.value), str(caught.value)


def test_an_empty_dataset_says_what_kedros_says(exchange):
    dataset = ExchangeDataset("d", exchange)
    assert error_of(dataset.load) == error_of(MemoryDataset().load)
    assert not dataset.exists()


def test_none_is_refused_as_by_kedros(exchange):
    dataset = ExchangeDataset("d", exchange)
    assert error_of(lambda: dataset.save(None)) == error_of(lambda: MemoryDataset().save(None))
    assert dataset.ref is None


def test_what_was_saved_is_loaded(exchange):
    dataset = ExchangeDataset("d", exchange)
    dataset.save([1, 2])
    assert dataset.exists()
    dataset.load().append(3)
    assert dataset.load() == [1, 2]


def test_what_another_process_saved_is_loaded(exchange):
    assert (
        ExchangeDataset("d", exchange, exchange.put("saved elsewhere")).load() == "saved elsewhere"
    )


def test_saving_once_more_replaces_the_data_and_removes_the_former_file(exchange):
    dataset = ExchangeDataset("d", exchange)
    dataset.save(np.zeros(LARGE))
    dataset.save(np.ones(LARGE))
    assert dataset.load().sum() == LARGE
    assert dataset.ref is not None
    assert [str(path) for path in files_of(exchange)] == [dataset.ref.path]


def test_what_cannot_be_saved_leaves_the_former_data(exchange):
    dataset = ExchangeDataset("d", exchange)
    dataset.save("former")
    with pytest.raises(DataTransferError, match="Holder cannot be pickled"):
        dataset.save(Holder())
    assert dataset.load() == "former"


def test_release_forgets_the_data(exchange):
    dataset = ExchangeDataset("d", exchange)
    dataset.save(1)
    dataset.release()
    assert not dataset.exists()
    assert error_of(dataset.load) == error_of(MemoryDataset().load)


def test_kedros_log_lines_name_the_class_that_the_user_knows(exchange, caplog):
    caplog.set_level("INFO", logger="kedro.io.data_catalog")
    lines = []
    for dataset in (MemoryDataset(), ExchangeDataset("d", exchange)):
        caplog.clear()
        catalog = DataCatalog({"d": dataset})
        catalog.save("d", 1)
        catalog.load("d")
        lines.append([(r.name, r.getMessage()) for r in caplog.records])
    assert lines[0] == lines[1]
    assert "MemoryDataset" in str(lines[0])


def test_repr_names_the_class_that_the_user_knows(exchange):
    assert repr(ExchangeDataset("d", exchange)) == repr(MemoryDataset())


# --- a full folder ----------------------------------------------------------------------------


def test_a_full_folder_is_said_once_whoever_finds_it_so(full, roomy, caplog):
    for exchange in (Exchange([full, roomy]), Exchange([full, roomy])):
        for _ in range(2):
            exchange.put(np.arange(LARGE))
    (record,) = (r for r in caplog.records if r.levelname == "WARNING")
    assert record.name == "kedro.runner.prunner"
    assert os.path.dirname(roomy) in record.getMessage()
    assert full in record.getMessage()


def test_an_error_names_the_dataset_and_its_size_and_leaves_what_was_there(tmp_path, full):
    exchange = Exchange([str(tmp_path / "prunner-only")])
    dataset = ExchangeDataset("sales", exchange)
    dataset.save(np.arange(LARGE))
    exchange.folders = (full,)
    with pytest.raises(DataTransferError, match=r"'sales': no room for in-memory data of 8\d,\d+ "):
        dataset.save(np.zeros(LARGE))
    assert dataset.load().sum() == sum(range(LARGE))


# --- inputs of a pipeline ---------------------------------------------------------------------


def test_an_input_of_several_nodes_is_written_once_and_a_small_one_not_at_all(exchange):
    def use(data, params):
        """A node."""

    names = ["large", "parameters"]
    pipe = pipeline([node(use, names, None, name=f"use_{i}") for i in range(8)])
    catalog = DataCatalog({"large": MemoryDataset(np.arange(LARGE))})
    catalog["parameters"] = {"a": 1}
    book, pinned = write_book(pipe, catalog)
    refs = share_inputs(pipe, catalog, book, pinned, exchange)
    assert not pinned
    assert [str(path) for path in files_of(exchange)] == [refs["large"].path]
    assert refs["parameters"].path is None
    assert exchange.get(refs["parameters"]) == {"a": 1}


# --- maps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [maps._MAPPED_FROM, recycling.RECYCLED_FROM])
def test_there_are_few_maps_at_once(exchange, monkeypatch, size):
    monkeypatch.setattr(maps, "_MOST_MAPS", len(maps._maps) + 2)
    refs = [exchange.put(np.full(size, i, dtype=np.uint8)) for i in range(4)]
    arrays = [exchange.get(ref) for ref in refs]
    assert len(maps._maps) == maps._MOST_MAPS - (0 if os.name == "posix" else 2)
    assert [array.sum() for array in arrays] == [size * i for i in range(4)]
    arrays[3][:] = 1  # what was not mapped is private, too
    assert exchange.get(refs[3]).sum() == 3 * size
    arrays.clear()
    assert not len(maps._maps) > maps._MOST_MAPS - 2


def test_small_files_are_not_mapped(exchange):
    before = len(maps._maps)
    array = exchange.get(exchange.put(np.ones(INLINE_LIMIT * 2, dtype=np.uint8)))
    assert array.flags.writeable
    assert len(maps._maps) == before
