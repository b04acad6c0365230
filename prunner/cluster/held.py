"""In a worker: the in-memory datasets of a step, as quick as those of Kedro and quicker."""

from __future__ import annotations

from typing import Any

from kedro.io import DatasetError, MemoryDataset

from prunner import kedro_internals

_EMPTY = vars(MemoryDataset())
_EMPTY_REPR = repr(MemoryDataset())


class HeldDataset(MemoryDataset):
    """What stands for a ``MemoryDataset``: does the same.

    Kedro tries to import pandas, numpy and ibis each time to know how data is copied. A package
    that is not installed is looked for in all folders of ``sys.path`` then, which takes as long as
    all the rest of a small node.

    Args:
        copy_mode: How data is copied; ``None`` if that depends on its type.
    """

    def __init__(self, copy_mode: str | None = None) -> None:
        vars(self).update(_EMPTY)
        self._copy_mode = copy_mode  # type: ignore[assignment]

    def load(self) -> Any:
        """The data, copied as Kedro does it."""
        if self._data is kedro_internals.NO_DATA:
            raise DatasetError("Data for MemoryDataset has not been saved yet.")
        return kedro_internals.copied(self._data, self._copy_mode)

    def save(self, data: Any) -> None:
        """Replace the data by a copy, as Kedro does it."""
        self._data = kedro_internals.copied(data, self._copy_mode)

    def __repr__(self) -> str:
        if self._data is kedro_internals.NO_DATA:
            return _EMPTY_REPR
        return f"{_EMPTY_REPR[:-1]}data='<{type(self._data).__name__}>')"


# Kedro's own __init__ looks at its signature each time, to keep the arguments for a catalog file.
HeldDataset.__init__ = HeldDataset.__init__.__wrapped__  # type: ignore[method-assign, attr-defined]

# Kedro writes the class of a dataset into its log lines and errors: they stay as they are.
HeldDataset.__module__ = MemoryDataset.__module__
HeldDataset.__name__ = HeldDataset.__qualname__ = MemoryDataset.__name__
