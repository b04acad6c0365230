"""How far a node has come: which dataset is being loaded or saved, which hook is being called.

Kedro's ``Task`` calls a hook before and after everything that it does. Between it and the
hook manager, a ``PhaseWatch`` reads from these calls what to say when something raises, and how
long everything took. The hooks themselves are no part of that.

Pure but for the clock: no process, no pluggy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter, time
from typing import Any, NamedTuple

_Part = tuple[str, float, float]


class StepTimes(NamedTuple):
    """How long the parts of a step took, in seconds.

    Attributes:
        began: When it began, in seconds since the epoch.
        run: Its function, from the hook before it to the hook behind it; ``None`` if it did not
            come to its end.
        loads: For each dataset that it loaded: the name, when after the beginning of the step, and
            how long.
        saves: The same for those that it saved; all chunks of one together.
    """

    began: float
    run: float | None = None
    loads: tuple[_Part, ...] = ()
    saves: tuple[_Part, ...] = ()


class PhaseWatch:
    """A hook manager that knows how far the node has come.

    Args:
        hook_manager: The one that is called.
    """

    def __init__(self, hook_manager: Any) -> None:
        self._hooks = hook_manager.hook
        self._lock = threading.Lock()  # a node may load and save in threads
        self.begin_step()

    def begin_step(self) -> None:
        """What follows is about another node."""
        self._loading: list[str] = []
        self._saving: list[str] = []
        self._failed_hook: str | None = None
        self._began_at, self._began = time(), perf_counter()
        self._run_began = 0.0
        self._run: float | None = None
        self._since: dict[str, float] = {}
        self._loaded: dict[str, tuple[float, float]] = {}
        self._saved: dict[str, tuple[float, float]] = {}

    @property
    def hook(self) -> PhaseWatch:
        """The hooks are attributes of this, as with pluggy."""
        return self

    @property
    def phase(self) -> str:
        """What the node is doing, to be read after "while"."""
        if self._failed_hook is not None:
            return f"calling hook '{self._failed_hook}'"
        if self._loading:
            return f"loading {_datasets(self._loading)}"
        if self._saving:
            return f"saving {_datasets(self._saving)}"
        return "running"

    @property
    def times(self) -> StepTimes:
        """How long everything took so far."""
        return StepTimes(self._began_at, self._run, _parts(self._loaded), _parts(self._saved))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._hooks, name)
        begin, end = _TURNS.get(name, (None, None))

        def watched(**arguments: Any) -> Any:
            if begin is not None:
                begin(self, arguments.get("dataset_name", ""))
            try:
                result = call(**arguments)
            except BaseException:
                self._failed_hook = name
                raise
            if end is not None:
                end(self, arguments.get("dataset_name", ""))
            return result

        self.__dict__[name] = watched  # a node calls some of them for each of its datasets
        return watched

    def _is_to_load(self, dataset: str) -> None:
        with self._lock:
            self._loading.append(dataset)

    def _is_to_save(self, dataset: str) -> None:
        with self._lock:
            self._saving.append(dataset)

    def _begins(self, dataset: str) -> None:
        self._since[dataset] = perf_counter()

    def _has_loaded(self, dataset: str) -> None:
        self._add(self._loaded, dataset)

    def _has_saved(self, dataset: str) -> None:
        self._add(self._saved, dataset)

    def _is_loaded(self, dataset: str) -> None:
        with self._lock:
            self._loading.remove(dataset)

    def _is_saved(self, dataset: str) -> None:
        with self._lock:
            self._saving.remove(dataset)

    def _runs(self, _: str) -> None:
        self._run_began = perf_counter()

    def _has_run(self, _: str) -> None:
        self._run = perf_counter() - self._run_began

    def _add(self, parts: dict[str, tuple[float, float]], dataset: str) -> None:
        since = self._since.get(dataset)
        if since is not None:
            began, seconds = parts.get(dataset, (since - self._began, 0.0))
            parts[dataset] = began, seconds + perf_counter() - since


# What is done before a hook is called, and after it.
_Turn = Callable[[PhaseWatch, str], None]
_TURNS: dict[str, tuple[_Turn | None, _Turn | None]] = {
    "before_dataset_loaded": (PhaseWatch._is_to_load, PhaseWatch._begins),
    "after_dataset_loaded": (PhaseWatch._has_loaded, PhaseWatch._is_loaded),
    "before_dataset_saved": (PhaseWatch._is_to_save, PhaseWatch._begins),
    "after_dataset_saved": (PhaseWatch._has_saved, PhaseWatch._is_saved),
    "before_node_run": (None, PhaseWatch._runs),
    "after_node_run": (PhaseWatch._has_run, None),
}


def _parts(found: dict[str, tuple[float, float]]) -> tuple[_Part, ...]:
    return tuple((name, began, seconds) for name, (began, seconds) in found.items())


def _datasets(names: list[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in dict.fromkeys(names))
    return f"{'dataset' if len(names) == 1 else 'one of the datasets'} {listed}"
