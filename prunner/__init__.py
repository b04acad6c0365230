"""A multiprocessing-safe parallel runner for Kedro pipelines.

``kedro run --runner=prunner.ParallelRunner`` or
``session.run(runner=prunner.ParallelRunner())`` runs a project's pipeline on several
processes, each of which has rerun ``configure_project`` before it sees a node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunner.bridge.forms import RemoteError
    from prunner.bridge.logs import NodeFilter
    from prunner.cluster.runner import DaskRunner
    from prunner.errors import (
        ClusterError,
        DataTransferError,
        NodeTimeout,
        OptionError,
        PipelineFailed,
        PrunnerError,
        WorkerDied,
        WorkerStartError,
    )
    from prunner.processes.keeper import stop_workers
    from prunner.processes.project import project_initializer
    from prunner.runner import ParallelRunner

__version__ = "0.1.0"

__all__ = [
    "ClusterError",
    "DaskRunner",
    "DataTransferError",
    "NodeFilter",
    "NodeTimeout",
    "OptionError",
    "ParallelRunner",
    "PipelineFailed",
    "PrunnerError",
    "RemoteError",
    "WorkerDied",
    "WorkerStartError",
    "__version__",
    "project_initializer",
    "stop_workers",
]

_HOMES = {
    "ClusterError": "prunner.errors",
    "DaskRunner": "prunner.cluster.runner",
    "DataTransferError": "prunner.errors",
    "NodeFilter": "prunner.bridge.logs",
    "NodeTimeout": "prunner.errors",
    "OptionError": "prunner.errors",
    "ParallelRunner": "prunner.runner",
    "PipelineFailed": "prunner.errors",
    "PrunnerError": "prunner.errors",
    "RemoteError": "prunner.bridge.forms",
    "WorkerDied": "prunner.errors",
    "WorkerStartError": "prunner.errors",
    "project_initializer": "prunner.processes.project",
    "stop_workers": "prunner.processes.keeper",
}


def __getattr__(name: str) -> Any:
    # Lazy, because every worker imports this package before Kedro may be imported there:
    # importing Kedro configures logging, which the worker has to prepare first.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
