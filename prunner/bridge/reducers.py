"""How arrays and frames are pickled, where their own way copies or loses something.

A large buffer should leave as a view of the object's own memory, and arrive as a view of the map:

    numpy     a read-only array would arrive read-only, one that is not contiguous inside the pickle
    pandas    texts in arrow's form would be copied, to be one piece
    polars    a frame would be written in the format of a file, inside the pickle: two copies
    pyarrow   a slice would take along all that it was cut from

Libraries that nobody has imported are not imported.

Pure: no file, no process.
"""

from __future__ import annotations

import copyreg
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

_LARGE = 1 << 16  # bytes; below, the libraries' own ways are as quick
_PYARROW_WITH_VIEWS = 18  # polars' texts are views in arrow's terms
# Types whose columns arrow holds as polars does.
_SAME_IN_ARROW = frozenset(
    "Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float32 Float64 Boolean String Binary "
    "Date Time Datetime Duration".split()
)


def reduce(value: Any) -> Any:
    """Say how an object is pickled.

    Args:
        value: Any object.

    Returns:
        What ``__reduce__`` returns, or ``NotImplemented`` for the object's own way.
    """
    kind = type(value)
    reducer = _REDUCERS.get((kind.__module__, kind.__qualname__))
    return NotImplemented if reducer is None else reducer(value)


def reducers_by_type() -> dict[type, Callable[[Any], Any]]:
    """The same as a table for ``copyreg``, of the libraries that are imported."""
    found: dict[type, Callable[[Any], Any]] = {}
    for module, name in _REDUCERS:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and (kind.__module__, kind.__qualname__) in _REDUCERS:
            found[kind] = _reduce_in_any_case
    return found


def _reduce_in_any_case(value: Any) -> Any:
    found = reduce(value)
    return value.__reduce_ex__(5) if found is NotImplemented else found


# --- numpy ------------------------------------------------------------------------------------


def _reduce_array(array: Any) -> Any:
    flags = array.flags
    if array.dtype.hasobject:
        # Its pickle holds objects; a read-only one would stay so.
        return NotImplemented if flags.writeable else array.copy(order="K").__reduce_ex__(5)
    if not flags.forc:
        return array.copy(order="C").__reduce_ex__(5)
    if flags.writeable:
        return NotImplemented
    if array.nbytes == 0:
        return array.copy(order="K").__reduce_ex__(5)
    # Pickle would note that the buffer is read-only, and nobody could write into what arrives;
    # MemoryDataset's copies can be written to, and scikit-learn relies on it.
    return _writable_view(array).__reduce_ex__(5)


def _writable_view(array: Any) -> Any:
    """The same memory, for the pickle alone: nobody writes through it."""
    numpy = sys.modules["numpy"]
    raw = numpy.asarray(_Memory(array))
    return numpy.ndarray(array.shape, array.dtype, buffer=raw, strides=array.strides)


class _Memory:
    """The bytes of a contiguous array.

    Args:
        array: The array, kept as long as there is a view of its bytes.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self.__array_interface__ = {
            "version": 3,
            "shape": (array.nbytes,),
            "typestr": "|u1",
            "data": (array.ctypes.data, False),
        }


# --- pandas -----------------------------------------------------------------------------------


def _reduce_pandas_arrow(array: Any) -> Any:
    state = dict(vars(array))
    data = state.get("_pa_array")
    if data is None or data.num_chunks != 1 or _holds_more_than_it_shows(data):
        return NotImplemented
    # As pandas' own __getstate__, but for the copy that makes one chunk of one.
    state["_pa_array"] = data.chunk(0)
    if "_cache" in state:
        state["_cache"] = {}
    return copyreg.__newobj__, (type(array),), state  # type: ignore[attr-defined]


# --- polars -----------------------------------------------------------------------------------


def _reduce_polars_series(series: Any) -> Any:
    same = series.dtype.base_type().__name__ in _SAME_IN_ARROW
    if not same or series.estimated_size() < _LARGE or not _can_share_with_arrow():
        return NotImplemented
    return _make_polars_series, (series.to_frame(),)


def _make_polars_series(frame: Any) -> Any:
    return frame.to_series()


def _reduce_polars_frame(frame: Any) -> Any:
    polars = sys.modules["polars"]
    size = frame.estimated_size()
    if size < _LARGE or not _can_share_with_arrow():
        return NotImplemented
    same = [n for n, t in frame.schema.items() if t.base_type().__name__ in _SAME_IN_ARROW]
    part = frame.select(same)
    table = part.to_arrow(compat_level=polars.CompatLevel.newest())
    if not same or table.get_total_buffer_size() > 4 * size:
        return NotImplemented  # a slice would take along all that it was cut from
    others = [frame.get_column(name) for name in frame.columns if name not in set(same)]
    return _make_polars_frame, (table, others, frame.columns, _sorted_columns(part))


def _can_share_with_arrow() -> bool:
    if not hasattr(sys.modules["polars"], "CompatLevel"):  # since polars 1.0
        return False
    try:
        pyarrow = importlib.import_module("pyarrow")
    except ImportError:
        return False
    return int(pyarrow.__version__.partition(".")[0]) >= _PYARROW_WITH_VIEWS


def _sorted_columns(frame: Any) -> list[tuple[str, bool]]:
    flags = frame.flags.items()
    return [
        (name, each["SORTED_DESC"])
        for name, each in flags
        if each.get("SORTED_ASC") or each.get("SORTED_DESC")
    ]


class _Stream:
    """An arrow table of which polars sees no more than that: it then copies nothing."""

    def __init__(self, table: Any) -> None:
        self.__arrow_c_stream__ = table.__arrow_c_stream__


def _make_polars_frame(
    table: Any, others: Sequence[Any], columns: Sequence[str], is_sorted: Sequence[tuple[str, bool]]
) -> Any:
    polars = importlib.import_module("polars")
    frame = polars.DataFrame(_Stream(table))
    marks = [polars.col(name).set_sorted(descending=down) for name, down in is_sorted]
    return frame.with_columns(*others, *marks).select(columns)


# --- pyarrow ----------------------------------------------------------------------------------


def _reduce_arrow_table(table: Any) -> Any:
    if not _holds_more_than_it_shows(table):
        return NotImplemented
    pyarrow = sys.modules["pyarrow"]
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return _make_arrow_table, (sink.getvalue(),)


def _holds_more_than_it_shows(data: Any) -> bool:
    """True for a slice that would take along what it was cut from."""
    return bool(data.get_total_buffer_size() >= 2 * data.nbytes + _LARGE)


def _make_arrow_table(buffer: Any) -> Any:
    pyarrow = importlib.import_module("pyarrow")
    return pyarrow.ipc.open_stream(buffer).read_all()


_REDUCERS = {
    ("numpy", "ndarray"): _reduce_array,
    # As pandas 3 calls them, and as earlier ones do.
    ("pandas.arrays", "ArrowExtensionArray"): _reduce_pandas_arrow,
    ("pandas.arrays", "ArrowStringArray"): _reduce_pandas_arrow,
    ("pandas.core.arrays.arrow.array", "ArrowExtensionArray"): _reduce_pandas_arrow,
    ("pandas.core.arrays.string_arrow", "ArrowStringArray"): _reduce_pandas_arrow,
    ("polars.dataframe.frame", "DataFrame"): _reduce_polars_frame,
    ("polars.series.series", "Series"): _reduce_polars_series,
    ("pyarrow.lib", "Table"): _reduce_arrow_table,
}
