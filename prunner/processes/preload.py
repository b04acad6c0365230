"""What a fork server imports before workers are forked from it (``template``).

It is imported there by name, as fork servers do, and learns from the environment which project it
is for: nothing happens where it is imported elsewhere.

Errors are of no concern here: a worker meets them again, where they are reported.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path

import psutil

from prunner.processes.freshness import CodeWatch
from prunner.processes.threads import ThreadLimit

PRELOAD_VARIABLE = "PRUNNER_PRELOAD"

# The allocator of pyarrow, which pandas imports, has a thread that it begins anew after a fork.
_HARMLESS_THREADS = ("jemalloc_bg_thd",)

# Which code this process, and those that are forked from it, have in memory.
watch: CodeWatch | None = None
_why_not_to_fork: str | None = None


def why_no_worker() -> str | None:
    """Say, in a copy of such a process, why it cannot be a worker; ``None`` if it can."""
    if watch is not None and watch.is_stale:
        return "the project's code has changed"
    return _why_not_to_fork


def _find_what_not_to_share(files_before: set[int]) -> str | None:
    here = psutil.Process()
    if any(name not in _HARMLESS_THREADS for name in _threads(here)):
        return "the project's modules start threads when they are imported"
    if here.net_connections(kind="inet"):
        return "the project's modules open connections when they are imported"
    if _open_files() - files_before:
        return "the project's modules open files when they are imported"
    return None


def _threads(here: psutil.Process) -> list[str]:
    """Names of all threads but the main one, as far as the system tells them."""
    others = [each.id for each in here.threads() if each.id != here.pid]
    if sys.platform != "linux":
        return [""] * (here.num_threads() - 1)
    return [Path(f"/proc/self/task/{i}/comm").read_text("utf-8").strip() for i in others]


def _open_files() -> set[int]:
    return {file.fd for file in psutil.Process().open_files()}


def _preload(
    path: list[str], package_name: str | None, pipelines: list[str] | None, modules: list[str]
) -> None:
    from prunner.bridge.logs import bare_kedro_logging

    global watch, _why_not_to_fork
    watch = CodeWatch(package_name)
    files_before = _open_files()
    sys.path[:] = path
    ThreadLimit().apply(1)  # pools of threads could not be forked
    with bare_kedro_logging():
        from prunner.processes.project import keep_logging

        keep_logging(package_name)
    import prunner.processes.steps  # noqa: F401

    if package_name is not None:
        from kedro.framework.project import configure_project

        configure_project(package_name)
        modules += _modules_of_nodes(package_name, pipelines)
    for name in modules:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)
    watch.look()
    _why_not_to_fork = _find_what_not_to_share(files_before)


def _modules_of_nodes(package_name: str, pipelines: list[str] | None) -> list[str]:
    """The modules in which Kedro's ``find_pipelines`` looks for pipelines, which import nodes."""
    names: list[str] = []
    if pipelines == []:
        return names
    with contextlib.suppress(ImportError):
        folder = importlib.import_module(f"{package_name}.pipelines").__path__
        found = [module.name for module in pkgutil.iter_modules(folder)]
        wanted = found if pipelines is None else [name for name in found if name in pipelines]
        names = [f"{package_name}.pipelines.{name}" for name in wanted]
    return [f"{package_name}.pipeline", *names]


if _wanted := os.environ.pop(PRELOAD_VARIABLE, None):
    with contextlib.suppress(Exception):
        _preload(*json.loads(_wanted))
