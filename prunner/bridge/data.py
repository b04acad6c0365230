"""In-memory data on its way from one process to another.

Each object is written into a file of its own (``packing``), in memory where the system has such
a folder. A reader maps the file privately, copy on write: nothing is copied until somebody
writes, everybody may write, nobody sees what another one wrote. Small objects need no file and
ride in the message.

Covers: files, sizes, removal; with ``maps``, ``recycling`` and ``locks``, the only rooms that open
data files.
Does not cover: which dataset is which and when it is released (``dispatcher``).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import shutil
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol

from kedro.io import DatasetError, MemoryDataset

from prunner.bridge import maps, owners, recycling
from prunner.bridge.packing import pack, unpack
from prunner.bridge.recycling import FreeFiles, OwnFiles, is_recycled, write_all
from prunner.bridge.refs import DataRef
from prunner.errors import DataTransferError

INLINE_LIMIT = 16 * 1024  # bytes; a message of this size still fits into any pipe's buffer
_PIECE = 1 << 20  # bytes
_TOLD = "told"  # a file that says that the user knows of a full folder

_PLAIN = (type(None), bool, int, float, str, bytes)

_logger = logging.getLogger("kedro.runner.prunner")
_numbers = itertools.count()  # of the files that this process writes


class Exchange:
    """The data files of one run.

    Made by ``create`` in the parent, which removes them all with ``close``, and by
    ``Exchange(folders)`` in a worker.

    Args:
        folders: Where files are written; the second and later ones when a former one is full.
        mapped: Whether files are mapped or read. What is mapped cannot be removed on Windows.
    """

    def __init__(self, folders: Sequence[str], *, mapped: bool = True) -> None:
        self.folders = tuple(folders)
        self._mapped = mapped
        self._undeleted: list[str] = []
        self._own = OwnFiles()
        # The parent alone sees what is released, and holds the folders.
        self._free: FreeFiles | None = None
        self._locks: list[int | None] = []

    @classmethod
    def create(cls) -> Exchange:
        """Begin a run: folders with a fresh name."""
        name = owners.new_name()
        folders = [os.path.join(base, name) for base in owners.base_folders()]
        # What the parent loads outlives the run: outputs, and data that a hook keeps.
        exchange = cls(folders, mapped=sys.platform != "win32")
        exchange._free = FreeFiles()
        exchange._locks = [owners.make_folder(folder) for folder in folders]
        return exchange

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def put(self, value: Any, *, unless: DataRef | None = None) -> DataRef:
        """Make an object available to the other processes of the run.

        Args:
            value: Any object that cloudpickle can pickle.
            unless: Where it may be already; that is returned if the bytes there are the same.

        Returns:
            The reference that ``get`` takes.

        Raises:
            DataTransferError: If the object cannot be pickled or there is no room for it.
        """
        if type(value) in _PLAIN:  # what most small outputs are, and this is quick
            pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
            if len(pickled) <= INLINE_LIMIT:
                return DataRef(None, pickled, len(pickled))
        parts, size = pack(value)
        if size <= INLINE_LIMIT:
            return DataRef(None, b"".join(parts), size)
        if unless is not None and unless.size == size and _holds(unless, parts):
            return unless
        return DataRef(self._write(parts, size), None, size)

    def get(self, ref: DataRef) -> Any:
        """Load an object that some process of the run has put.

        Args:
            ref: What ``put`` returned.

        Returns:
            A private copy; its arrays are writable.

        Raises:
            DataTransferError: If the bytes cannot be turned into the object again here.
        """
        try:
            return unpack(self._view(ref))
        except FileNotFoundError as error:
            raise DataTransferError(
                "in-memory data has been released: the last node that loads it has ended"
            ) from error
        except (Exception, SystemExit) as error:
            raise DataTransferError(
                f"in-memory data of {ref.size} bytes could not be unpickled in process "
                f"{os.getpid()}: {type(error).__name__}: {error}"
            ) from error

    def keeps(self, ref: DataRef) -> bool:
        """True: what is not released is there as long as the run."""
        return True

    def count(self, ref: DataRef) -> None:
        """Note in the parent that a dataset is there, which ``release`` will end."""
        if self._free is not None and ref.path and is_recycled(ref.path, ref.size):
            self._free.count(ref.size)

    def release(self, ref: DataRef) -> None:
        """Remove the file of an object, now or, where it is still mapped on Windows, later.

        In the parent, a file that can be written over becomes free for that instead.
        """
        if ref.path is None:
            return
        if is_recycled(ref.path, ref.size):
            if self._free is not None:
                self._free.add(ref.path, ref.size)
            else:
                recycling.remove(ref.path)
            return
        self._undeleted.append(ref.path)
        self._undeleted = [path for path in self._undeleted if not _removed(path)]

    def close(self) -> None:
        """End the run: remove all files and folders."""
        self._own.close()
        for folder in self.folders:
            recycling.remove_all(folder)
            shutil.rmtree(folder, ignore_errors=True)
        while self._locks:
            owners.let_go(self._locks.pop())

    def _view(self, ref: DataRef) -> memoryview:
        if ref.inline is not None:
            return memoryview(bytearray(ref.inline))
        assert ref.path is not None
        return maps.view(ref.path, ref.size, mapped=self._mapped)

    def _write(self, parts: Sequence[bytes | memoryview], size: int) -> str:
        name = f"{os.getpid()}-{next(_numbers)}"
        problems: list[str] = []
        for folder in self.folders:
            path = os.path.join(folder, name)
            try:
                self._write_into(path, parts, size)
            except OSError as error:
                problems.append(f"{folder}: {error.strerror or error}")
            else:
                if problems:
                    _say_once(folder, problems[0], size)
                return path
        raise DataTransferError(
            f"no room for in-memory data of {size:,} bytes ({'; '.join(problems)}). Free some "
            "space there, or give the dataset an entry in the catalog that saves it elsewhere."
        )

    def _write_into(self, path: str, parts: Sequence[bytes | memoryview], size: int) -> None:
        folder = os.path.dirname(path)
        if not is_recycled(path, size):
            _write_fresh(path, parts)
            return
        try:
            if self._own.write(path, parts, size):
                return
            _write_fresh(path, parts)
        except OSError:
            if not recycling.remove_free(folder):
                raise
            _write_fresh(path, parts)  # what nobody needs made room
        self._own.add(path, size)


class Store(Protocol):
    """Where an ``ExchangeDataset`` has its data: the exchange, or a step's part in it."""

    def put(self, value: Any) -> DataRef:
        """Make an object available to the other processes."""

    def get(self, ref: DataRef) -> Any:
        """Load an object."""

    def release(self, ref: DataRef) -> None:
        """Remove it."""


class ComparingStore(Protocol):
    """Where a ``Shelf`` has the objects of its step."""

    def put(self, value: Any, *, unless: DataRef | None = None) -> DataRef:
        """Make an object available, unless it is there and the same."""

    def get(self, ref: DataRef) -> Any:
        """Load an object."""

    def release(self, ref: DataRef) -> None:
        """Remove it."""


class DataStore(Store, Protocol):
    """The in-memory data of a run, as the parent has it."""

    def keeps(self, ref: DataRef) -> bool:
        """True if what was put there is there at the end of the run, unless it was released."""

    def close(self) -> None:
        """The run has ended."""


class ExchangeDataset(MemoryDataset):
    """What stands for a ``MemoryDataset``: loads from and saves to the exchange.

    Args:
        name: Name of the dataset, for errors.
        exchange: The data files of the run.
        ref: Where the data is, ``None`` while there is none.
    """

    def __init__(self, name: str, exchange: Store, ref: DataRef | None = None) -> None:
        vars(self).update(_EMPTY)
        self.ref = ref
        self._name = name
        self._exchange = exchange

    def load(self) -> Any:
        """A private copy of the data."""
        if self.ref is None:
            raise DatasetError("Data for MemoryDataset has not been saved yet.")
        with self._named_errors():
            return self._exchange.get(self.ref)

    def save(self, data: Any) -> None:
        """Replace the data; a generator node saves its chunks one after the other."""
        with self._named_errors():
            former, self.ref = self.ref, self._exchange.put(data)
        if former is not None:
            self._exchange.release(former)

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except DataTransferError as error:
            raise DataTransferError(f"in-memory dataset '{self._name}': {error}") from error

    def _exists(self) -> bool:
        return self.ref is not None

    def _release(self) -> None:
        self.ref = None

    def _describe(self) -> dict[str, Any]:
        return {"data": None}

    def __repr__(self) -> str:
        return _EMPTY_REPR


# Kedro's own __init__ looks at its signature each time, to keep the arguments for a catalog file:
# half of the time that a trivial node takes. All that hold nothing yet are alike.
ExchangeDataset.__init__ = ExchangeDataset.__init__.__wrapped__  # type: ignore[method-assign, attr-defined]
_EMPTY = vars(MemoryDataset())
_EMPTY_REPR = repr(MemoryDataset())

# Kedro writes the class of a dataset into its log lines and errors: they stay as they are.
ExchangeDataset.__module__ = MemoryDataset.__module__
ExchangeDataset.__name__ = ExchangeDataset.__qualname__ = MemoryDataset.__name__


def _write_fresh(path: str, parts: Sequence[bytes | memoryview]) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # write() and not a map: a full folder is an error here, not a SIGBUS later.
        with open(path, "xb", buffering=0, opener=_for_this_user) as file:
            for part in parts:
                write_all(file, part)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _say_once(folder: str, problem: str, size: int) -> None:
    """Warn, unless some process of the run has done so."""
    try:
        with open(os.path.join(folder, _TOLD), "xb"):
            pass
    except OSError:
        return
    _logger.warning(
        "In-memory data of %s bytes is written to %s, since there was no room for it in memory "
        "(%s). Runs are slower that way.",
        f"{size:,}",
        os.path.dirname(folder),
        problem,
    )


def _holds(ref: DataRef, parts: Sequence[bytes | memoryview]) -> bool:
    """True if the file holds these bytes; read piece by piece, so that it costs no memory."""
    if ref.path is None:
        return False
    with open(ref.path, "rb") as file:
        for part in parts:
            view = memoryview(part)
            for start in range(0, view.nbytes, _PIECE):
                piece = bytes(view[start : start + _PIECE])  # memoryviews are compared slowly
                if file.read(len(piece)) != piece:
                    return False
    return True


def _removed(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            os.unlink(path)
        except PermissionError:
            return False
    return True
