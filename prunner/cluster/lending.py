"""In a worker: the objects that hooks in the client ask for, for as long as the step runs.

They stay where they are; the client fetches one when a hook wants it.
"""

from __future__ import annotations

import itertools
from typing import Any

from dask.sizeof import sizeof

from prunner.bridge.data import INLINE_LIMIT
from prunner.bridge.packing import pack, unpack
from prunner.bridge.refs import DataRef
from prunner.errors import DataTransferError

LENT = "lent:"  # begins the paths of references to these objects; the names of datasets have none
_SURELY_LARGE = 4 * INLINE_LIMIT  # bytes by Dask's estimate; it need not be pickled to know


class Lending:
    """The objects of one process, for the hooks of one run.

    Args:
        address: Of the worker.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count()
        self._objects: dict[str, Any] = {}

    def put(self, value: Any, *, unless: DataRef | None = None) -> DataRef:
        """Make an object available to hooks.

        Args:
            value: Any object that cloudpickle can pickle.
            unless: Where it was before; it may have changed since.

        Returns:
            Where it is.

        Raises:
            DataTransferError: If a small object cannot be pickled.
        """
        if sizeof(value) <= _SURELY_LARGE:
            parts, size = pack(value)
            if size <= INLINE_LIMIT:
                return DataRef(None, b"".join(parts), size)
        path = f"{LENT}{next(self._numbers)}@{self._address}"
        self._objects[path] = value
        return DataRef(path, None, sizeof(value))

    def get(self, ref: DataRef) -> Any:
        """Load what a hook has returned."""
        assert ref.inline is not None
        return unpack(memoryview(bytearray(ref.inline)))

    def release(self, ref: DataRef) -> None:
        """No hook asks for an object any more."""
        if ref.path is not None:
            self._objects.pop(ref.path, None)

    def packed(self, path: str) -> bytes | str | None:
        """An object for the client.

        Args:
            path: Of its reference.

        Returns:
            Its bytes, the name of its type if it cannot be pickled, ``None`` if it is not there.
        """
        if path not in self._objects:
            return None
        value = self._objects[path]
        try:
            return b"".join(pack(value)[0])
        except DataTransferError:
            return f"{type(value).__module__}.{type(value).__qualname__}"
