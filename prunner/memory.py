"""In-memory datasets of the real catalog: what workers load from them, what they get back."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from prunner import kedro_internals
from prunner.bridge.data import DataStore, ExchangeDataset
from prunner.bridge.refs import DataRef
from prunner.errors import DataTransferError

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

    from prunner.processes.book import RunBook


def share(catalog: CatalogProtocol[Any, Any], name: str, exchange: DataStore) -> DataRef | None:
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


class Loans:
    """In-memory data that workers made, as the real catalog shows it while the run goes on.

    A hook, or a node that stays in this process, finds a dataset in the catalog that loads the
    data from the exchange, a private copy each time, as ``MemoryDataset`` gives it. What nobody
    asks for is never loaded here.

    Args:
        catalog: The real catalog.
        exchange: The data files of the run.
    """

    def __init__(self, catalog: CatalogProtocol[Any, Any], exchange: DataStore) -> None:
        self._catalog = catalog
        self._exchange = exchange
        self._store = _NotReleasing(exchange)
        self._lent: dict[str, tuple[Any, ExchangeDataset]] = {}
        self._known: dict[str, DataRef] = {}

    def lend(self, name: str, ref: DataRef) -> None:
        """Let a dataset of the catalog be what a worker has put into the exchange."""
        if self._known.get(name) == ref:
            return  # a hook may have saved to it, or put another one there, in the meantime
        self._known[name] = ref
        if name in self._lent:
            own = self._lent[name][0]
        else:
            own = kedro_internals.dataset_itself(self._catalog, name)
        stand_in = ExchangeDataset(name, self._store, ref)
        self._lent[name] = own, stand_in
        kedro_internals.add_dataset(self._catalog, name, stand_in)

    def release(self, name: str) -> None:
        """Nobody loads the dataset again: the catalog has its own, without data, again."""
        if name in self._lent:
            self._give_back(name)
        self._catalog.release(name)

    def settle(self, suspects: Collection[str]) -> list[DataTransferError]:
        """The run has ended: let the catalog's own datasets hold what is there still.

        Args:
            suspects: Datasets whose data may be what ended a worker; they are left out.

        Returns:
            What went wrong.
        """
        errors = []
        for name, (_, stand_in) in list(self._lent.items()):
            try:
                ref = stand_in.ref
                is_there = ref is not None and name not in suspects and self._exchange.keeps(ref)
                if self._give_back(name) and ref is not None and is_there:
                    value = self._exchange.get(ref)
                    kedro_internals.set_memory_value(self._catalog, name, value)
            except DataTransferError as error:
                errors.append(DataTransferError(f"dataset '{name}': {error}"))
        return errors

    def give_back(self) -> None:
        """Let the catalog have all its own datasets again."""
        for name in list(self._lent):
            self._give_back(name)

    def _give_back(self, name: str) -> bool:
        own, stand_in = self._lent.pop(name)
        if kedro_internals.dataset_itself(self._catalog, name) is not stand_in:
            return False  # a hook has put its own there
        kedro_internals.add_dataset(self._catalog, name, own)
        return True


class _NotReleasing:
    """The exchange, for whom the files of others are not to be removed."""

    def __init__(self, exchange: DataStore) -> None:
        self.put, self.get = exchange.put, exchange.get

    def release(self, ref: DataRef) -> None:
        """Leave it: workers load it still."""


def share_inputs(
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    book: RunBook,
    pinned: dict[int, str],
    exchange: DataStore,
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
            book.stuck[name] = str(error)
            for step in consumers[name]:
                pinned.setdefault(step, f"dataset '{name}': {error}")
        else:
            if ref is not None:
                refs[name] = ref
    return refs
