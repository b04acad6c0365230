"""In-memory datasets of the real catalog: what workers load from them, what they get back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunner import kedro_internals
from prunner.bridge.data import DataRef, Exchange
from prunner.errors import DataTransferError

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

    from prunner.processes.book import RunBook


def share(catalog: CatalogProtocol[Any, Any], name: str, exchange: Exchange) -> DataRef | None:
    """Put what an in-memory dataset holds where workers can load it.

    Args:
        catalog: The real catalog.
        name: Name of an in-memory dataset.
        exchange: The data files of the run.

    Returns:
        Where it is, ``None`` if the dataset is empty.

    Raises:
        DataTransferError: If the data cannot be pickled, or there is no room for it.
    """
    value = kedro_internals.memory_value(catalog.get(name))
    return None if value is kedro_internals.NO_DATA else exchange.put(value)


def adopt(catalog: CatalogProtocol[Any, Any], name: str, ref: DataRef, exchange: Exchange) -> None:
    """Let an in-memory dataset of the real catalog hold what a worker made.

    Args:
        catalog: The real catalog.
        name: Name of an in-memory dataset.
        ref: Where the data is.
        exchange: The data files of the run.

    Raises:
        DataTransferError: If it cannot be unpickled in this process.
    """
    try:
        value = exchange.get(ref)
    except DataTransferError as error:
        raise DataTransferError(f"dataset '{name}': {error}") from error
    kedro_internals.set_memory_value(catalog, name, value)


def share_inputs(
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    book: RunBook,
    pinned: dict[int, str],
    exchange: Exchange,
) -> dict[str, DataRef]:
    """Share the pipeline's in-memory inputs, once each.

    Args:
        pipeline: The pipeline.
        catalog: The real catalog.
        book: The book of the run.
        pinned: Steps that stay in the parent; those that load what cannot be shared are added.
        exchange: The data files of the run.

    Returns:
        Where each one is that some worker will load.
    """
    refs: dict[str, DataRef] = {}
    consumers: dict[str, list[int]] = {}
    for step, node in enumerate(pipeline.nodes):
        for name in book.in_memory.intersection(node.inputs):
            consumers.setdefault(name, []).append(step)
    for name in sorted(pipeline.inputs() & consumers.keys()):
        if all(step in pinned for step in consumers[name]):
            continue
        try:
            ref = share(catalog, name, exchange)
        except DataTransferError as error:
            for step in consumers[name]:
                pinned.setdefault(step, f"dataset '{name}': {error}")
        else:
            if ref is not None:
                refs[name] = ref
    return refs
