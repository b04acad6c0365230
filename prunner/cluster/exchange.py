"""In the client: in-memory data of a run, which stays on the workers until somebody asks for it.

Takes the place of ``bridge.data.Exchange`` for hooks, pinned steps and the catalog: a ``path`` is
the name of a dataset, or of an object that a worker lends to a hook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from distributed.utils import TimeoutError as DaskTimeoutError

from prunner.bridge.hooks import StaysWithNode
from prunner.bridge.packing import pack
from prunner.bridge.refs import DataRef
from prunner.cluster import steps
from prunner.cluster.graph import Key, Place
from prunner.cluster.lending import LENT
from prunner.cluster.parcel import Parcel, opened
from prunner.errors import DataTransferError

if TYPE_CHECKING:
    from distributed import Client, Future

_RELEASED = "in-memory data has been released: the last node that loads it has ended"


class ClusterExchange:
    """The in-memory data of one run.

    Args:
        client: Dask's.
        token: The run.
        makers: The step that makes each dataset.
    """

    folders: tuple[str, ...] = ()

    def __init__(self, client: Client, token: str, makers: Mapping[str, int]) -> None:
        self.held: dict[Key, Future] = {}  # what Dask keeps for this process
        self._wanted: dict[Key, set[int]] = {}  # for which steps
        self.places: dict[str, Place] = {}  # of the datasets of steps that are done
        self._client = client
        self._token = token
        self._makers = makers
        self._fetched: dict[str, bytes | str] = {}
        self.runs_at: dict[int, str] = {}  # addresses of workers, by the step that ran there last

    def put(self, value: Any, *, unless: DataRef | None = None) -> DataRef:
        """Make an object of this process available to workers.

        Args:
            value: Any object that cloudpickle can pickle.
            unless: Not used.

        Returns:
            A reference that has the object's bytes.

        Raises:
            DataTransferError: If the object cannot be pickled.
        """
        parts, size = pack(value)
        return DataRef(None, b"".join(parts), size)

    def get(self, ref: DataRef) -> Any:
        """Load an object.

        Args:
            ref: What ``put`` has returned here or in a worker.

        Returns:
            A private copy.

        Raises:
            DataTransferError: If it is not there any more, or cannot be made again here.
        """
        if ref.inline is not None:
            return opened(ref.inline)
        assert ref.path is not None
        is_lent = ref.path.startswith(LENT)
        packed = self._lent(ref.path) if is_lent else self._of(ref.path)
        if packed is None:
            raise DataTransferError(_RELEASED)
        if isinstance(packed, str) and is_lent:
            return StaysWithNode(packed)
        if isinstance(packed, str):
            raise DataTransferError(packed)
        return opened(packed)

    def _lent(self, path: str) -> bytes | str | None:
        """What a worker lends to a hook."""
        address = path.partition("@")[2]
        lent: bytes | str | None = self._call(steps.lend, self._token, path, None, worker=address)
        return lent

    def fetch(self, datasets: Iterable[str], patience: float | None = None) -> None:
        """Load datasets that Dask keeps for this process; what is lost, it makes again.

        Whoever waits for that must not be the thread that answers hooks: nodes may run for it.

        Args:
            datasets: Their names.
            patience: Seconds to wait for each, after which it is left out; ``None`` for no limit.

        Raises:
            Exception: What Dask says if it cannot.
        """
        for name in datasets:
            key, position = self.places[name]
            try:
                value = self.held[key].result(timeout=patience)
            except DaskTimeoutError:
                continue
            parcel: Parcel = value if position is None else value[position]
            try:
                self._fetched[name] = b"".join(parcel.packed())
            except DataTransferError as error:
                self._fetched[name] = str(error)

    def has(self, dataset: str) -> bool:
        """True for a dataset that need not be fetched."""
        return dataset in self._fetched

    def forget(self, dataset: str) -> None:
        """Nobody loads a dataset any more."""
        self._fetched.pop(dataset, None)

    def _of(self, dataset: str) -> bytes | str | None:
        """What a dataset holds: fetched before, with Dask, or with a step that goes on."""
        if dataset in self._fetched:
            return self._fetched[dataset]
        found = self._fetch(self.places[dataset]) if dataset in self.places else None
        step = self._makers.get(dataset)
        if found is None and step in self.runs_at:
            address = self.runs_at[step]
            found = self._call(steps.lend, self._token, dataset, step, worker=address)
        return found

    def keeps(self, ref: DataRef) -> bool:
        """True for what has been fetched: outputs of the pipeline; Dask keeps nothing else."""
        return ref.inline is not None or ref.path in self._fetched

    def release(self, ref: DataRef) -> None:
        """Nothing: Dask releases what no task needs."""

    def close(self) -> None:
        """Let go of all that Dask keeps for this process."""
        for future in self.held.values():
            future.release()
        self.held.clear()

    def hold(self, key: Key, future: Future, wanting: Iterable[int]) -> None:
        """Let Dask keep what a task makes.

        Args:
            key: The task.
            future: Dask's future of it.
            wanting: The steps that it is kept for, ``CLIENT`` among them.
        """
        self.held[key] = future
        self._wanted.setdefault(key, set()).update(wanting)

    def no_longer_wanted(self, ended: set[int]) -> None:
        """Steps have gone out, or ended: what was kept for them is not needed here any more."""
        dropped = []
        for key, wanting in self._wanted.items():
            if not wanting.isdisjoint(ended):
                wanting -= ended
                if not wanting:
                    dropped.append(key)
        self.drop(dropped)

    def drop(self, keys: Iterable[Key]) -> None:
        """Let go of some of it."""
        for key in keys:
            self._wanted.pop(key, None)
            future = self.held.pop(key, None)
            if future is not None:
                future.release()

    def _fetch(self, place: Place) -> bytes | str | None:
        for address in self._client.who_has([place.key]).get(place.key, ()):
            packed: bytes | str | None = self._call(
                steps.fetch, place.key, place.position, worker=address
            )
            if packed is not None:
                return packed
        return None

    def _call(self, function: Callable[..., Any], *args: Any, worker: str) -> Any:
        found = self._client.run(function, *args, workers=[worker], on_error="ignore")
        return found.get(worker)
