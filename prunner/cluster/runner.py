"""``DaskRunner``: runs a Kedro pipeline on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

try:
    import distributed  # noqa: F401
except ImportError as missing:
    raise ImportError(
        "prunner.DaskRunner needs Dask. Install it: pip install 'prunner[dask]'"
    ) from missing

from prunner.cluster.options import (
    ClusterOptions,
    check_target,
    check_upload,
)
from prunner.node_options import (
    check_defaults,
    check_node_options,
    check_on_error,
    check_seconds_or_none,
)
from prunner.options import check_is_async, check_max_workers, check_progress, check_worker_hooks
from prunner.planned_runner import PlannedRunner

if TYPE_CHECKING:
    import os

    from distributed import Client
    from distributed.deploy import Cluster
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from pluggy import PluginManager

    from prunner.cluster.execution import ClusterExecution


class DaskRunner(PlannedRunner):
    """Runs the nodes of a pipeline on a Dask cluster, with the results of ``SequentialRunner``.

    Every worker reruns ``configure_project`` before its first node, also one that joins later or
    takes the place of another one. Hooks fire on the session's own instances, logs go to the
    project's own handlers, and what cannot leave the main process runs there. Data that lives in
    memory stays on the workers.

    Example::

        from prunner import DaskRunner

        with KedroSession.create() as session:
            session.run(runner=DaskRunner("tcp://scheduler:8786"))

    Args:
        address: Of a scheduler that runs: ``tcp://host:8786``. ``None`` for that in Dask's own
            configuration (``DASK_SCHEDULER_ADDRESS``), and where there is none for a cluster of
            processes of this machine, which is started for the run.
        scheduler_file: In place of an address, the file that the scheduler was started with
            (``--scheduler-file``).
        client: In place of an address, a ``distributed.Client``.
        cluster: In place of an address, a cluster object of Dask's (dask-jobqueue,
            dask-kubernetes, Coiled). Neither client nor cluster are closed.
        max_workers: How many processes the cluster has that is started for the run. ``None`` stands
            for the number of CPUs that this process may use.
        is_async: Whether nodes load and save their datasets in threads.
        upload_project: Whether workers are sent the project's package and the modules beside it.
            ``None`` for those that cannot import it, ``True`` for all, which then use it in place
            of what they have, ``False`` for none.
        connect_timeout: Seconds to wait for the scheduler. ``None`` for Dask's own limit
            (``distributed.comm.timeouts.connect``).
        worker_hooks: As for ``ParallelRunner``.
        on_error: As for ``ParallelRunner``.
        retries: How often a node is tried again that has raised one of ``retry_on``, or has taken
            too long. What was lost with a worker Dask makes again, up to its own limit
            (``distributed.scheduler.allowed-failures``).
        retry_on: As for ``ParallelRunner``.
        retry_delay: As for ``ParallelRunner``.
        retry_backoff: As for ``ParallelRunner``.
        timeout: As for ``ParallelRunner``; the whole worker process is ended, and started again by
            its nanny.
        node_options: As for ``ParallelRunner``, and ``resources``: what a worker must have been
            started with (``--resources "GPU=1"``): ``{"train": {"resources": {"GPU": 1}}}``.
        progress: As for ``ParallelRunner``.

    Raises:
        OptionError: If an option has a value that cannot be used.
    """

    def __init__(  # noqa: PLR0913 - the options
        self,
        address: str | None = None,
        is_async: bool = False,
        *,
        scheduler_file: str | os.PathLike[str] | None = None,
        client: Client | None = None,
        cluster: Cluster | None = None,
        max_workers: int | None = None,
        upload_project: bool | None = None,
        connect_timeout: float | None = None,
        worker_hooks: str | Iterable[str] | None = None,
        on_error: str = "stop",
        retries: int = 0,
        retry_on: str | type[BaseException] | Iterable[str | type[BaseException]] = (),
        retry_delay: float = 0.0,
        retry_backoff: float = 2.0,
        timeout: float | None = None,
        node_options: Mapping[str, Any] | None = None,
        progress: bool | None = None,
    ) -> None:
        given = locals()
        super().__init__(check_is_async(is_async), given)
        target = check_target(address, scheduler_file, client, cluster, max_workers)
        self._options = ClusterOptions(
            *target,
            max_workers=check_max_workers(max_workers),
            upload_project=check_upload(upload_project),
            connect_timeout=check_seconds_or_none(connect_timeout, "connect_timeout"),
            is_async=is_async,
            worker_hooks=check_worker_hooks(worker_hooks),
            keep_going=check_on_error(on_error) == "continue",
            on_failure=check_defaults(given),
            node_options=check_node_options(node_options, has_resources=True),
            progress=check_progress(progress),
        )

    def __repr__(self) -> str:
        options = self._options
        where = options.address or options.scheduler_file or options.client or options.cluster
        given = f"max_workers={options.max_workers}" if where is None else repr(where)
        return f"prunner.DaskRunner({given}, is_async={self._is_async})"

    def _execution(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hooks: PluginManager,
        run_id: str | None,
    ) -> ClusterExecution:
        from prunner.cluster.execution import ClusterExecution

        return ClusterExecution(
            self._options, pipeline, catalog, hooks, run_id=run_id, logger=self._logger
        )
