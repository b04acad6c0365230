"""Objects as bytes and back: the layout of a data file, and of a small object in a message.

An object is pickled with protocol 5, which keeps large buffers (arrays, columns) apart:

    bytes   0 .. 7          a mark, by which it differs from a mere pickle
            8 ..            number of segments, length of each (unsigned 64 bit, little endian)
            then, aligned   segment 0: the pickle; segments 1 ..: its out-of-band buffers

An object without such buffers is its pickle alone.

Pure: no file, no process.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cloudpickle

from prunner.bridge.culprit import explain
from prunner.bridge.reducers import reduce, reducers_by_type
from prunner.errors import DataTransferError

_MARK = b"prunner\0"  # a pickle of protocol 2 or newer begins with the byte 0x80
_MAIN = b"__main__"
ALIGNMENT = 64  # bytes; a cache line, and more than any array element needs


def pack(value: Any) -> tuple[list[bytes | memoryview], int]:
    """Turn an object into bytes.

    Args:
        value: Any object that cloudpickle can pickle.

    Returns:
        The parts to be written one after the other, of which the large ones are views of the
        object's own memory, and the number of bytes in all.

    Raises:
        DataTransferError: If the object cannot be pickled.
    """
    segments = _dump(value)
    if len(segments) == 1:
        return [segments[0]], len(segments[0])
    lengths = [len(segment) for segment in segments]
    offsets, size = _layout(lengths)
    return list(_parts(segments, lengths, offsets)), size


def unpack(view: memoryview) -> Any:
    """Turn bytes into the object again.

    Args:
        view: What ``pack`` made; writable, and the memory of the object's arrays from now on.

    Returns:
        The object.

    Raises:
        Exception: Whatever unpickling raises.
    """
    if view[:8] != _MARK:
        return pickle.loads(view)
    segments = list(_split(view))
    return pickle.loads(segments[0], buffers=segments[1:])


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        found = reduce(obj)
        return super().reducer_override(obj) if found is NotImplemented else found


def _dump(value: Any) -> list[memoryview]:
    try:
        return _segments(value)
    except Exception as error:
        kind = type(value)
        raise DataTransferError(
            f"an object of type {kind.__module__}.{kind.__qualname__} cannot be pickled "
            f"({explain(error, value, _dump_alone)}), so it cannot be handed to another process. "
            "Tag the node that makes it and those that load it with 'prunner.main': they then "
            "run in the main process."
        ) from error


def _segments(value: Any) -> list[memoryview]:
    """The pickle, and its out-of-band buffers."""
    # cloudpickle asks Python about each object: two or three times as slow where there are many.
    if not cloudpickle.list_registry_pickle_by_value():
        try:
            found = _segments_by(_plain_pickler, value)
        except Exception:  # noqa: S110 - what it cannot do cloudpickle may, or say why not
            pass
        else:
            # What is defined in the main module has to travel by value.
            if _MAIN not in found[0].obj:  # type: ignore[operator]
                return found
    return _segments_by(_Pickler, value)


def _segments_by(make: Callable[..., pickle.Pickler], value: Any) -> list[memoryview]:
    buffers: list[memoryview] = []
    stream = io.BytesIO()
    pickler = make(stream, protocol=5, buffer_callback=lambda buffer: buffers.append(buffer.raw()))
    pickler.dump(value)
    # Not getbuffer(): Python 3.13 complains where the stream is collected before its buffer.
    return [memoryview(stream.getvalue()), *buffers]


def _plain_pickler(stream: io.BytesIO, **options: Any) -> pickle.Pickler:
    pickler = pickle.Pickler(stream, **options)
    pickler.dispatch_table = {**copyreg.dispatch_table, **reducers_by_type()}
    return pickler


def _dump_alone(value: Any) -> memoryview:
    return _segments(value)[0]


def _layout(lengths: Sequence[int]) -> tuple[list[int], int]:
    """Offsets of the segments behind the table of their lengths, and the total size."""
    position = 8 * (2 + len(lengths))
    offsets = []
    for length in lengths:
        position = -(-position // ALIGNMENT) * ALIGNMENT
        offsets.append(position)
        position += length
    return offsets, position


def _parts(
    segments: Sequence[memoryview], lengths: Sequence[int], offsets: Sequence[int]
) -> Iterator[bytes | memoryview]:
    table = struct.pack(f"<8s{1 + len(lengths)}Q", _MARK, len(lengths), *lengths)
    yield table
    position = len(table)
    for segment, offset in zip(segments, offsets, strict=True):
        yield bytes(offset - position)
        yield segment
        position = offset + len(segment)


def _split(view: memoryview) -> Iterator[memoryview]:
    (count,) = struct.unpack_from("<Q", view, 8)
    lengths = struct.unpack_from(f"<{count}Q", view, 16)
    offsets, _ = _layout(lengths)
    for offset, length in zip(offsets, lengths, strict=True):
        yield view[offset : offset + length]
