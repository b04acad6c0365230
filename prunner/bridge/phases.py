"""How far a node has come: which dataset is being loaded or saved, which hook is being called.

Kedro's ``Task`` calls a hook before and after everything that it does. Between it and the
hook manager, a ``PhaseWatch`` reads from these calls what to say when something raises.

Pure: no process, no pluggy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


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

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._hooks, name)
        begin, end = _TURNS.get(name, (None, None))

        def watched(**arguments: Any) -> Any:
            if begin is not None:
                begin(self, arguments["dataset_name"])
            try:
                result = call(**arguments)
            except BaseException:
                self._failed_hook = name
                raise
            if end is not None:
                end(self, arguments["dataset_name"])
            return result

        self.__dict__[name] = watched  # a node calls some of them for each of its datasets
        return watched

    def _loads(self, dataset: str) -> None:
        with self._lock:
            self._loading.append(dataset)

    def _has_loaded(self, dataset: str) -> None:
        with self._lock:
            self._loading.remove(dataset)

    def _saves(self, dataset: str) -> None:
        with self._lock:
            self._saving.append(dataset)

    def _has_saved(self, dataset: str) -> None:
        with self._lock:
            self._saving.remove(dataset)


# What begins before a hook is called, and what has ended after it.
_TURNS = {
    "before_dataset_loaded": (PhaseWatch._loads, None),
    "after_dataset_loaded": (None, PhaseWatch._has_loaded),
    "before_dataset_saved": (PhaseWatch._saves, None),
    "after_dataset_saved": (None, PhaseWatch._has_saved),
}


def _datasets(names: list[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in dict.fromkeys(names))
    return f"{'dataset' if len(names) == 1 else 'one of the datasets'} {listed}"
