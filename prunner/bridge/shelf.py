"""What a step of a worker has in the exchange already, so that no object is written twice.

A node's input was read from a file, its output will be written to one, and hooks that ask for
data get both: they are told of the file that is there. After the node's own code has run, an
object may be something else than what was read; it is then compared with the file, byte by
byte, which costs no memory, and written anew only where it differs.

Covers: which object is in which file, and which files end with the step.
Does not cover: files themselves (``data``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prunner.bridge.data import ComparingStore
from prunner.bridge.refs import DataRef


@dataclass(slots=True)
class _Entry:
    value: Any  # kept, so that no other object gets its id
    ref: DataRef
    written_here: bool
    kept: bool = False
    sure: bool = True


class Shelf:
    """The objects of one step.

    Takes the place of the exchange for the step's datasets and hook calls.

    Args:
        exchange: The data files of the run.
    """

    def __init__(self, exchange: ComparingStore) -> None:
        self._exchange = exchange
        self._entries: dict[int, _Entry] = {}

    def get(self, ref: DataRef) -> Any:
        """Load an object; hooks that ask for it are told of the same file."""
        value = self._exchange.get(ref)
        self._note(value, ref, written_here=False)
        return value

    def lend(self, value: Any) -> DataRef:
        """Make an object available to hooks until the step ends.

        Args:
            value: Any object that cloudpickle can pickle.

        Returns:
            Where it is: where it was already, if it has not changed since.

        Raises:
            DataTransferError: If the object cannot be pickled or there is no room for it.
        """
        entry = self._entries.get(id(value))
        if entry is None:
            return self._note(value, self._exchange.put(value), written_here=True)
        if entry.sure:
            return entry.ref
        ref = self._exchange.put(value, unless=entry.ref)
        if ref is not entry.ref:
            self._drop(entry)
            return self._note(value, ref, written_here=True)
        entry.sure = True
        return ref

    def put(self, value: Any) -> DataRef:
        """Make an object available beyond the step: an in-memory output.

        Args:
            value: As for ``lend``.

        Returns:
            Where it is; no other dataset has this file.

        Raises:
            DataTransferError: As for ``lend``.
        """
        entry = self._entries.get(id(value))
        if entry is not None and (entry.kept or not entry.written_here):
            return self._exchange.put(value)
        ref = self.lend(value)
        if ref.path is not None:
            self._entries[id(value)].kept = True
        return ref

    def release(self, ref: DataRef) -> None:
        """Remove the file of an object that ``put`` has put."""
        for key, entry in list(self._entries.items()):
            if entry.ref is ref:
                del self._entries[key]
        self._exchange.release(ref)

    def doubt(self) -> None:
        """Code has run that may have changed the objects."""
        for entry in list(self._entries.values()):
            entry.sure = False

    def forget(self, value: Any) -> None:
        """No hook will ask for this object again."""
        entry = self._entries.pop(id(value), None)
        if entry is not None:
            self._drop(entry)

    def clear(self) -> None:
        """The step has ended: remove what is not kept."""
        for entry in self._entries.values():
            self._drop(entry)
        self._entries.clear()

    def _note(self, value: Any, ref: DataRef, written_here: bool) -> DataRef:
        if ref.path is not None:  # small ones are as quickly packed again
            self._entries[id(value)] = _Entry(value, ref, written_here)
        return ref

    def _drop(self, entry: _Entry) -> None:
        if entry.written_here and not entry.kept:
            self._exchange.release(entry.ref)
