"""The options of ``DaskRunner``, checked once, with one clear error for each bad value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from prunner.errors import OptionError
from prunner.planning.policy import NO_POLICY, MemoryPolicy


class ClusterOptions(NamedTuple):
    """The options of a runner on a cluster, checked.

    Attributes:
        address: Of the scheduler.
        scheduler_file: Where the scheduler has written its address.
        client: A client of Dask's.
        cluster: A cluster of Dask's.
        max_workers: How many processes the cluster has that is made for a run.
        upload_project: Whether workers are sent the source of the project; ``None`` for those that
            have not got it.
        connect_timeout: Seconds to wait for the scheduler; ``None`` for Dask's own limit.
        is_async: Whether nodes load and save their datasets in threads.
        worker_hooks: Hooks that run inside the workers; ``None`` for those that must.
        keep_going: Whether a run goes on with what does not depend on a failed node.
        on_failure: ``retries`` and the like, checked, of all nodes.
        node_options: The same of single nodes and tags, by name.
        progress: Whether the progress is shown on a terminal; ``None`` if that depends on where.
        memory: What is to be done about memory: nothing, that is Dask's.
    """

    address: str | None
    scheduler_file: str | None
    client: Any
    cluster: Any
    max_workers: int = 1
    upload_project: bool | None = None
    connect_timeout: float | None = None
    is_async: bool = False
    worker_hooks: tuple[str, ...] | None = None
    keep_going: bool = False
    on_failure: Mapping[str, Any] = {}
    node_options: Mapping[str, Mapping[str, Any]] = {}
    progress: bool | None = None
    memory: MemoryPolicy = NO_POLICY.memory


class Target(NamedTuple):
    """Which cluster; at most one of these is given."""

    address: str | None
    scheduler_file: str | None
    client: Any
    cluster: Any


def check_target(
    address: Any, scheduler_file: Any, client: Any, cluster: Any, max_workers: Any
) -> Target:
    """Check which cluster is meant.

    Args:
        address: The option as given.
        scheduler_file: The same.
        client: The same.
        cluster: The same.
        max_workers: The same.

    Raises:
        OptionError: If they are of a wrong type, or contradict each other.
    """
    given = {
        "address": address,
        "scheduler_file": scheduler_file,
        "client": client,
        "cluster": cluster,
    }
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise OptionError(f"Only one of {' and '.join(names)} can be given: which cluster is it?")
    if names and max_workers is not None:
        raise OptionError(
            "max_workers is for the cluster that is started where none is given. Scale the cluster "
            "that you have by its own means."
        )
    if address is not None and (not isinstance(address, str) or not address.strip()):
        raise OptionError(
            f"address must be that of a Dask scheduler, such as 'tcp://host:8786', not {address!r}."
        )
    _check_objects(client, cluster)
    return Target(address, _path(scheduler_file), client, cluster)


def check_upload(upload_project: Any) -> bool | None:
    """Check whether workers are sent the source of the project.

    Raises:
        OptionError: If it is neither a bool nor ``None``.
    """
    if upload_project is not None and not isinstance(upload_project, bool):
        raise OptionError(f"upload_project must be True, False or None, not {upload_project!r}.")
    return upload_project


def _path(scheduler_file: Any) -> str | None:
    if scheduler_file is None:
        return None
    try:
        path = os.fspath(scheduler_file)
    except TypeError:
        path = None
    if not isinstance(path, str) or not os.path.isfile(path):
        raise OptionError(
            f"scheduler_file must be the file that a Dask scheduler was started with "
            f"(--scheduler-file); there is no file {scheduler_file!r}."
        )
    return path


def _check_objects(client: Any, cluster: Any) -> None:
    from distributed import Client

    if client is not None and not isinstance(client, Client):
        raise OptionError(f"client must be a distributed.Client, not {client!r}.")
    if client is not None and client.asynchronous:
        raise OptionError("client must not be asynchronous: a run of Kedro waits for its nodes.")
    if cluster is not None and not hasattr(cluster, "scheduler_address"):
        raise OptionError(
            f"cluster must be a cluster of Dask's (LocalCluster, SLURMCluster, KubeCluster, ...), "
            f"not {cluster!r}."
        )
