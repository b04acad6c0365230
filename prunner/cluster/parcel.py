"""In-memory data as Dask holds it.

Dask moves an object when the step that needs it runs on another worker. What cannot be pickled, or
not be unpickled there, it would try to move again and again. A parcel always can be moved, and says
what is wrong when it is opened.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Sequence
from typing import Any

from dask.sizeof import sizeof

from prunner.bridge.packing import pack, unpack
from prunner.errors import DataTransferError

_WITH_BUFFERS = 5  # the protocol


class Parcel:
    """An object on its way from one step to others.

    Args:
        value: The object.
    """

    def __init__(self, value: Any) -> None:
        self._value = value
        self._packed: bytearray | None = None
        self._fault = ""
        self._opening = threading.Lock()

    def open(self) -> Any:
        """The object; the same for all steps of a process.

        Raises:
            DataTransferError: If it could not be pickled, or cannot be unpickled here.
        """
        with self._opening:
            if self._fault:
                raise DataTransferError(self._fault)
            if self._packed is not None:
                self._value = opened(self._packed)
                self._packed = None
            return self._value

    def packed(self) -> Sequence[bytes | memoryview | bytearray]:
        """The bytes of the object, in parts.

        Raises:
            DataTransferError: If it cannot be pickled.
        """
        with self._opening:
            if self._fault:
                raise DataTransferError(self._fault)
            return [self._packed] if self._packed is not None else pack(self._value)[0]

    def __sizeof__(self) -> int:
        return int(sizeof(self._value if self._packed is None else self._packed))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # Dask sends buffers as they are, without a copy, where both sides can.
        part: type = pickle.PickleBuffer if protocol >= _WITH_BUFFERS else bytes
        try:
            return _arrived, ([part(each) for each in self.packed()], "")
        except DataTransferError as error:
            return _arrived, ([], str(error))


def opened(packed: bytes | bytearray) -> Any:
    """The object that was packed.

    Args:
        packed: Its bytes; those of a ``bytearray`` are its memory from now on.

    Raises:
        DataTransferError: If it cannot be unpickled here.
    """
    try:
        return unpack(memoryview(packed if isinstance(packed, bytearray) else bytearray(packed)))
    except (Exception, SystemExit) as error:
        raise DataTransferError(
            f"in-memory data of {len(packed)} bytes could not be unpickled in another process "
            f"(Python {sys.version.split()[0]}): {type(error).__name__}: {error}"
        ) from error


def _arrived(parts: Sequence[Any], fault: str) -> Parcel:
    parcel = Parcel(None)
    parcel._packed, parcel._fault = bytearray(b"".join(parts)), fault
    return parcel
