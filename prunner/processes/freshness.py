"""Whether what a process has imported is still what an import would give.

A worker that stays for the next run has the project's code in memory. It is replaced when a file of
that code has changed since, or when the parent has loaded a module anew (``importlib.reload``,
``%reload_kedro``, autoreload).

Only code that people edit counts: everything that was imported from a file, but for the standard
library and what pip has installed. The project's own package counts wherever it is.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

# Time of the last change (ns) and size (bytes); None where it is not known which version of the
# file was imported.
Stamp = tuple[int, int] | None

_INSTALLED = tuple(
    {
        os.path.join(os.path.realpath(sysconfig.get_path(kind)), "")
        for kind in ("stdlib", "platstdlib", "purelib", "platlib")
    }
)
NO_CODE = ("__main__", "__mp_main__")  # no worker imports it


class CodeWatch:
    """In a worker: which files its code came from.

    Args:
        package_name: The project's package.
    """

    def __init__(self, package_name: str | None) -> None:
        self._package_name = package_name
        self._known: set[str] = set()
        self._looked_at = time.time_ns()

    def new_files(self) -> dict[str, Stamp]:
        """The files of modules that were imported since the last call, as they are now."""
        before, self._looked_at = self._looked_at, time.time_ns()
        found: dict[str, Stamp] = {}
        for name, module in _edited_modules(self._package_name):
            if name not in self._known:
                self._known.add(name)
                path = str(module.__file__)
                stamp = _stamp(path)
                # What has changed between two looks may have done so after the import.
                is_known = stamp is not None and stamp[0] < before
                found[path] = stamp if is_known else None
        return found


def are_unchanged(files: Mapping[str, Stamp]) -> bool:
    """True if all files are what they were when their code was imported."""
    return all(stamp is not None and _stamp(path) == stamp for path, stamp in files.items())


class LoadedModules:
    """In the parent: the modules that are loaded now, each from one execution of its code.

    Args:
        package_name: The project's package.
    """

    def __init__(self, package_name: str | None) -> None:
        self._specs = {n: m.__spec__ for n, m in _edited_modules(package_name)}

    def are_the_same(self) -> bool:
        """True if none of them has been loaded anew, or removed, since."""
        # Whoever loads a module, for the first time or again, gives it a spec of its own.
        return all(_spec(name) is spec for name, spec in self._specs.items())


def _spec(name: str) -> Any:
    return getattr(sys.modules.get(name), "__spec__", None)


def _edited_modules(package_name: str | None) -> Iterator[tuple[str, ModuleType]]:
    for name, module in list(sys.modules.items()):
        # Not every entry is a module: some are objects with a __getattr__ of their own.
        path = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if path is None or name in NO_CODE:
            continue
        if name.partition(".")[0] == package_name or not path.startswith(_INSTALLED):
            yield name, module


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
