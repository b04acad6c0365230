"""The cluster of a run: joined, taken as it is, or made for it.

Everything about addresses, encryption and time limits is Dask's own, with its configuration and
its environment variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client, LocalCluster, rpc
from distributed.security import Security

from prunner.cluster.options import ClusterOptions
from prunner.errors import ClusterError
from prunner.processes.main_module import not_imported_by

_WORKERS = "Dask Worker process"  # what Dask calls the processes that it starts

_logger = logging.getLogger("kedro.runner.prunner")


@contextlib.contextmanager
def connected(options: ClusterOptions) -> Iterator[Client]:
    """Within this context there is a client of the cluster that the options name.

    Args:
        options: The runner's.

    Raises:
        ClusterError: If the cluster cannot be reached.
    """
    with contextlib.ExitStack() as stack:
        if options.client is not None:
            if options.client.status != "running":
                raise ClusterError(f"The Dask client is {options.client.status}, not running.")
            yield options.client
            return
        target = _target(options, stack)
        client = stack.enter_context(_client(target, options))
        yield client


def _target(options: ClusterOptions, stack: contextlib.ExitStack) -> dict[str, Any]:
    """What a client is told of the cluster; one is started if there is none."""
    if options.cluster is not None:
        return {"address": options.cluster}
    if options.scheduler_file is not None:
        return {"scheduler_file": options.scheduler_file}
    address = options.address or dask.config.get("scheduler-address", None)
    if address:  # an empty variable of the environment is none
        return {"address": address}
    return {"address": stack.enter_context(_local(options))}


@contextlib.contextmanager
def _client(target: dict[str, Any], options: ClusterOptions) -> Iterator[Client]:
    where = target.get("address", target.get("scheduler_file"))
    limit = {} if options.connect_timeout is None else {"timeout": options.connect_timeout}
    try:
        _ask(target, options.connect_timeout)
        client = Client(**target, **limit, set_as_default=False, name="prunner")
    except Exception as error:  # what comes from an address where something else answers
        raise ClusterError(
            f"No Dask scheduler answers at {where}: {type(error).__name__}: {error}\nCheck that it "
            "runs, that this machine can reach it, and that both use the same protocol (tcp:// or "
            "tls:// with its certificates)."
        ) from error
    try:
        yield client
    finally:
        client.close()


def _ask(target: dict[str, Any], limit: float | None) -> None:
    """See whether a scheduler answers; where something else does, a client would wait for ever."""
    address = target.get("address")
    if "scheduler_file" in target:
        address = json.loads(Path(target["scheduler_file"]).read_text(encoding="utf-8"))["address"]
    if not isinstance(address, str):
        return  # a cluster of Dask's, which knows how it is reached
    if limit is None:
        limit = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    # In a thread of its own: this one may have an event loop that runs, as in a notebook.
    with ThreadPoolExecutor(1, "prunner-connect") as threads:
        threads.submit(lambda: asyncio.run(asyncio.wait_for(_identity(address), limit))).result()


async def _identity(address: str) -> Any:
    arguments = Security().get_connection_args("client")
    async with rpc(address, connection_args=arguments) as scheduler:
        return await scheduler.identity()


@contextlib.contextmanager
def _local(options: ClusterOptions) -> Iterator[LocalCluster]:
    """A cluster of processes of this machine, for one run."""
    # As in ParallelRunner: a script needs no guard around its main part.
    # Dask leaves its locks in the folder of workers, and they leave notes for those that follow.
    usual = dask.config.get("temporary-directory", None)
    folder = tempfile.TemporaryDirectory("-prunner-dask", dir=usual, ignore_cleanup_errors=True)
    with (
        folder,
        dask.config.set({"temporary-directory": folder.name}),
        not_imported_by(_WORKERS),
        environment_kept(),
        _quiet(),
    ):
        with LocalCluster(
            n_workers=options.max_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            # Dask has an HTTP server all the same, on a port that may be taken.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            # What it has to say of nodes that fail, the run says.
            silence_logs=logging.CRITICAL,
        ) as cluster:
            yield cluster


@contextlib.contextmanager
def environment_kept() -> Iterator[None]:
    """Within this context Dask may set variables of this process, for workers that it starts.

    It does not take them back: what this process starts afterwards, such as the workers of
    ``ParallelRunner``, would have ``OMP_NUM_THREADS=1``.
    """
    names = [*dask.config.get("distributed.nanny.pre-spawn-environ", {}), "PYTHONHASHSEED"]
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within this context scheduler and nannies, which are in this process, do not log every step.

    Kedro's own logging configuration would show them among the lines of the run.
    """
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        logger.setLevel(level)
