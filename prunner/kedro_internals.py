"""Everything of Kedro that is private or only agreed on by custom, in one place.

A Kedro release that moves one of these is mended here and nowhere else.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from kedro.framework.hooks.manager import _NullPluginManager
from kedro.io import CatalogProtocol, MemoryDataset, SharedMemoryDataset
from kedro.io.memory_dataset import _EMPTY
from kedro.pipeline.transcoding import _strip_transcoding

if TYPE_CHECKING:
    from pluggy import PluginManager

NO_DATA = _EMPTY


def no_hooks() -> PluginManager:
    """The hook manager that Kedro uses where there is none."""
    return cast("PluginManager", _NullPluginManager())


def strip_transcoding(name: str) -> str:
    """The name of a dataset without what stands behind its ``@``."""
    stripped: str = _strip_transcoding(name)
    return stripped


def is_in_memory(dataset: Any) -> bool:
    """True for the datasets that only hold an object, so that another may stand for them.

    A class derived from them may do more than that; it is left alone.
    """
    return type(dataset) in (MemoryDataset, SharedMemoryDataset)


def why_single_process(dataset: Any) -> str | None:
    """Why a dataset may only be used in the process that made it, ``None`` if it may travel."""
    kind = type(dataset).__name__
    if getattr(dataset, "_SINGLE_PROCESS", False):
        return f"{kind} says that it works in a single process only"
    if getattr(dataset, "_EPHEMERAL", False):
        return f"{kind} keeps its data in the memory of one process"
    return None


def memory_value(dataset: Any) -> Any:
    """What an in-memory dataset holds, uncopied, or ``NO_DATA``."""
    if isinstance(dataset, MemoryDataset):
        return dataset._data
    return dataset.load() if dataset.exists() else NO_DATA


def set_memory_value(catalog: CatalogProtocol[Any, Any], name: str, value: Any) -> None:
    """Let an in-memory dataset of the catalog hold an object that nobody else has."""
    dataset = catalog._datasets[name]
    if not isinstance(dataset, MemoryDataset):
        # Kedro's SharedMemoryDataset needs a manager process of Kedro's own ParallelRunner.
        dataset = catalog._datasets[name] = MemoryDataset()
    dataset._data = value


def without_datasets(catalog: CatalogProtocol[Any, Any]) -> CatalogProtocol[Any, Any]:
    """A copy of a catalog that keeps its class and settings and holds no dataset."""
    shell = copy.copy(catalog)
    shell._datasets = {}
    if hasattr(shell, "_lazy_datasets"):
        shell._lazy_datasets = {}
    return shell


def add_dataset(catalog: CatalogProtocol[Any, Any], name: str, dataset: Any) -> None:
    """Put a dataset into a catalog without what ``catalog[name] = ...`` does to its settings."""
    catalog._datasets[name] = dataset


def has_dataset(catalog: CatalogProtocol[Any, Any], name: str) -> bool:
    """True if the catalog holds this very dataset, not only a pattern that matches it."""
    return name in catalog._datasets
