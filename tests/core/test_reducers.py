from __future__ import annotations

import sys
import types
from collections import Counter

import numpy as np
import pytest

from prunner.bridge.packing import pack, unpack

LARGE = 20_000  # rows; more than what the libraries' own ways are kept for


def through(value):
    parts, size = pack(value)
    joined = bytearray(b"".join(parts))
    assert len(joined) == size
    return unpack(memoryview(joined))


def bytes_of_pickle(value):
    """Size of what is not taken out of the object's own memory."""
    return sum(len(p) for p in pack(value)[0] if isinstance(getattr(p, "obj", p), bytes))


# --- numpy ------------------------------------------------------------------------------------


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(LARGE, dtype="<f4"),
        np.arange(LARGE).astype("datetime64[s]"),
        np.arange(2 * LARGE).reshape(2, LARGE),
        np.asfortranarray(np.arange(2 * LARGE).reshape(2, LARGE)),
        np.array([(i, "x") for i in range(LARGE)], dtype=[("a", "i4"), ("b", "U3")]),
        np.array([{"i": i} for i in range(LARGE)], dtype=object),
        np.zeros((LARGE, 0)),
        np.array(1.5),
    ],
    ids=lambda array: f"{array.dtype.kind}{array.ndim}",
)
def test_a_read_only_array_arrives_writable(array):
    arrived = through(read_only(array))
    np.testing.assert_array_equal(arrived, array)
    assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
    assert arrived.flags.f_contiguous == array.flags.f_contiguous
    assert arrived.flags.writeable
    assert not array.flags.writeable


def test_a_read_only_array_is_not_copied():
    array = read_only(np.arange(LARGE))
    assert any(
        np.shares_memory(np.frombuffer(part, "u1"), array) for part in pack(array)[0] if len(part)
    )


def test_an_array_with_gaps_is_not_inside_the_pickle():
    array = np.arange(2 * LARGE)[::2]
    assert bytes_of_pickle(array) < 1_000
    np.testing.assert_array_equal(through(array), array)


# --- pandas -----------------------------------------------------------------------------------


def arrow_texts(rows):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    return pd.Series([f"text {i}" if i % 7 else None for i in range(rows)], dtype="string[pyarrow]")


@pytest.mark.parametrize("rows", [0, 3, LARGE])
def test_texts_in_arrows_form_arrive_as_they_were(rows):
    texts = arrow_texts(rows)
    arrived = through(texts)
    assert arrived.dtype == texts.dtype
    assert arrived.equals(texts)
    arrived[0:1] = "changed"
    assert through(texts).equals(texts)


def test_texts_in_arrows_form_are_not_copied():
    texts = arrow_texts(LARGE)
    held = {b.address for b in texts.array._pa_array.chunk(0).buffers() if b is not None}
    parts, _ = pack(texts.to_frame("text"))
    sent = {np.frombuffer(p, "u1").ctypes.data for p in parts if isinstance(p, memoryview) and p}
    assert held <= sent


def test_pieces_and_slices_of_texts_in_arrows_form_arrive_as_they_were():
    pd = pytest.importorskip("pandas")
    texts = arrow_texts(LARGE)
    twice = pd.concat([texts, texts], ignore_index=True)
    assert through(twice).equals(twice)
    few = texts[5:15]
    assert through(few).equals(few)
    assert pack(few)[1] < 10_000


# --- polars -----------------------------------------------------------------------------------


def polars_frame(rows):
    pl = pytest.importorskip("polars")
    numbers = range(rows)
    return pl.DataFrame(
        {
            "i": numbers,
            "kind": ["a" if i % 2 else "b" for i in numbers],
            "text": [None if i % 5 == 0 else f"a text of some length {i}" for i in numbers],
            "f": [float(i) if i % 3 else None for i in numbers],
            "ok": [i % 2 == 0 for i in numbers],
            "list": [[i, i + 1] for i in numbers],
            "raw": [b"x" * (i % 20) for i in numbers],
        },
        schema_overrides={"kind": pl.Categorical, "i": pl.Int32},
    ).with_columns(
        pl.from_epoch("i").alias("moment"),
        pl.from_epoch("i").dt.replace_time_zone("Europe/Berlin").alias("zone"),
        pl.from_epoch("i").dt.date().alias("day"),
        pl.duration(seconds="i").alias("span"),
        pl.col("kind").cast(pl.Enum(["a", "b"])).alias("enum"),
        pl.struct("i", "f").alias("struct"),
        pl.col("i").cast(pl.Decimal(20, 2)).alias("decimal"),
    )


@pytest.mark.parametrize("rows", [0, 3, LARGE])
def test_a_polars_frame_arrives_as_it_was(rows):
    frame = polars_frame(rows)
    arrived = through(frame)
    assert type(arrived) is type(frame)
    assert arrived.schema == frame.schema
    assert arrived.equals(frame)


@pytest.mark.parametrize("cut", [slice(5, 15), slice(LARGE // 2, None), slice(None, None, 2)])
def test_a_slice_of_a_polars_frame_arrives_as_it_was(cut):
    part = polars_frame(LARGE)[cut]
    assert through(part).equals(part)
    assert pack(part)[1] < 4 * pack(polars_frame(len(part)))[1] + 100_000


def test_a_polars_frame_of_several_pieces_arrives_as_it_was():
    pl = pytest.importorskip("polars")
    frame = pl.concat([polars_frame(LARGE).select("i", "text")] * 3, rechunk=False)
    assert through(frame).equals(frame)


def test_numbers_and_texts_of_a_polars_frame_are_not_inside_the_pickle():
    frame = polars_frame(LARGE).select("i", "text", "f", "moment")
    assert bytes_of_pickle(frame) < 5_000


@pytest.mark.parametrize("descending", [False, True])
def test_polars_still_knows_what_is_sorted(descending):
    frame = polars_frame(LARGE).select("text", "i").sort("i", descending=descending)
    arrived = through(frame)
    assert arrived.flags == frame.flags
    assert arrived.flags["i"]["SORTED_DESC" if descending else "SORTED_ASC"]


@pytest.mark.parametrize("name", ["i", "kind", "text", "list", "zone"])
def test_a_polars_series_arrives_as_it_was(name):
    series = polars_frame(LARGE)[name]
    arrived = through(series)
    assert arrived.name == name
    assert arrived.dtype == series.dtype
    assert arrived.equals(series, null_equal=True)


# --- pyarrow ----------------------------------------------------------------------------------


def test_a_slice_of_an_arrow_table_leaves_the_rest_behind():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"i": range(LARGE), "text": [str(i) for i in range(LARGE)]})
    table = table.replace_schema_metadata({"by": "me"})
    for each in (table, table.slice(5, 10)):
        arrived = through(each)
        assert arrived.equals(each, check_metadata=True)
    assert pack(table.slice(5, 10))[1] < 2_000


# --- by value and by reference ----------------------------------------------------------------


def test_what_is_defined_in_the_main_module_travels_by_value(monkeypatch):
    name = "__main__"
    main = types.ModuleType(name)
    exec("class Kept:\n    value = 7\ndef answer():\n    return 42", main.__dict__)
    monkeypatch.setitem(sys.modules, name, main)
    kept = main.Kept()
    parts = pack([main.answer, kept])[0]
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    answer, arrived = unpack(memoryview(bytearray(b"".join(parts))))
    assert (answer(), arrived.value) == (42, 7)


def test_functions_without_a_name_travel_too():
    assert through([np.arange(LARGE), lambda: 3])[1]() == 3


def test_many_objects_cost_no_call_of_python_each(monkeypatch):
    def fail(*_):
        raise AssertionError("asked about an object")

    monkeypatch.setattr("prunner.bridge.packing.reduce", fail)
    assert through([Counter(a=1)] * 3) == [Counter(a=1)] * 3
