"""``ParallelRunner``: runs a Kedro pipeline on several processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from prunner import kedro_internals
from prunner.errors import WorkerStartError
from prunner.interrupts import Interrupts
from prunner.node_options import check_defaults, check_node_options, check_on_error
from prunner.options import (
    DEFAULT_IDLE_TIMEOUT,
    RunOptions,
    check_idle_timeout,
    check_is_async,
    check_max_workers,
    check_memory,
    check_progress,
    check_threads,
    check_worker_hooks,
    resolve_start_method,
    threads_that_fit,
)
from prunner.planned_runner import PlannedRunner
from prunner.processes.keeper import WorkerKind, keeper
from prunner.processes.project import ProjectState
from prunner.processes.starting import why_no_workers
from prunner.processes.worker import Preload, packed_setup
from prunner.progress.terminal import is_possible

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from pluggy import PluginManager

    from prunner.execution import Execution


class ParallelRunner(PlannedRunner):
    """Runs the nodes of a pipeline on several processes, with the results of ``SequentialRunner``.

    Every worker process reruns ``configure_project`` before it sees a node. Hooks fire on the
    session's own instances, logs go to the project's own handlers, and what cannot leave the
    main process runs there.

    Example::

        from prunner import ParallelRunner

        with KedroSession.create() as session:
            session.run(runner=ParallelRunner(max_workers=4))

    Args:
        max_workers: How many processes there may be at most. ``None`` stands for the number of
            CPUs that this process may use. Never more are started than the pipeline can use at
            once.
        is_async: Whether nodes load and save their datasets in threads.
        start_method: How processes are started: ``loky`` (fork and exec without importing the main
            module; the default), ``spawn``, ``forkserver`` or ``fork``. ``None`` asks the
            environment variables ``PRUNNER_START_METHOD`` and ``KEDRO_MP_CONTEXT``.
        worker_hooks: Hooks around nodes and datasets that run inside the workers, on copies,
            rather than in the main process: by class path, by the name that they are registered
            under, or by distribution. For heavy hooks without a state of their own: what such a
            copy collects stays in its worker. ``None`` stands for those that are known to work
            in no other way, which is kedro-mlflow.
        threads_per_worker: How many threads each numeric library (BLAS, OpenMP, numexpr, numba) may
            use in a worker. ``None`` stands for as many as fit: CPUs divided by workers.
            Environment variables such as ``OMP_NUM_THREADS`` that are set already are left alone.
        idle_timeout: Seconds that workers wait for a next run of this process; 0 lets them end with
            the run.
        on_error: What follows when a node has failed for good: ``stop`` (nodes that run go on, no
            other one starts; the default), or ``continue`` (all nodes that do not depend on it
            run, and ``PipelineFailed`` tells at the end what has failed).
        retries: How often a node is tried again whose worker has died, or that has raised one of
            ``retry_on``.
        retry_on: Exception classes, or their full names (``requests.exceptions.Timeout``).
        retry_delay: Seconds before the second try.
        retry_backoff: How many times longer each further delay is than the one before.
        timeout: Seconds that a try of a node may take in a worker; then the worker is ended.
            ``None`` for no limit.
        node_options: ``retries`` and the like for single nodes and tags, by name:
            ``{"train": {"retries": 2}}``.
        memory_limit: How much memory the workers of a run and its in-memory data may use together:
            bytes, or a share of what the machine or the container has (above 0, at most 1).
            ``None`` for no limit but that.
        memory_mode: ``hold`` (a node waits as long as there is too little memory for what it has
            needed before, while others run; the default), ``log`` (only say so), or ``off``.
        progress: Whether it is shown on the terminal, while the run goes on, how far it is. Nothing
            is ever shown where standard output is no terminal. ``None`` asks the environment
            variable ``PRUNNER_PROGRESS`` (``0`` or ``1``); if that is not set, it is shown unless
            ``CI`` is set.

    Raises:
        OptionError: If an option has a value that cannot be used.
    """

    def __init__(  # noqa: PLR0913 - the options
        self,
        max_workers: int | None = None,
        is_async: bool = False,
        *,
        start_method: str | None = None,
        worker_hooks: str | Iterable[str] | None = None,
        threads_per_worker: int | None = None,
        idle_timeout: float = DEFAULT_IDLE_TIMEOUT,
        on_error: str = "stop",
        retries: int = 0,
        retry_on: str | type[BaseException] | Iterable[str | type[BaseException]] = (),
        retry_delay: float = 0.0,
        retry_backoff: float = 2.0,
        timeout: float | None = None,
        node_options: Mapping[str, Any] | None = None,
        memory_limit: float | None = None,
        memory_mode: str = "hold",
        progress: bool | None = None,
    ) -> None:
        given = locals()
        super().__init__(check_is_async(is_async), given)
        self._options = RunOptions(
            max_workers=check_max_workers(max_workers),
            is_async=is_async,
            start_method=resolve_start_method(start_method),
            worker_hooks=check_worker_hooks(worker_hooks),
            threads_per_worker=check_threads(threads_per_worker),
            idle_timeout=check_idle_timeout(idle_timeout),
            keep_going=check_on_error(on_error) == "continue",
            on_failure=check_defaults(given),
            node_options=check_node_options(node_options),
            memory=check_memory(memory_limit, memory_mode),
            progress=check_progress(progress),
        )
        pipelines = kedro_internals.pipelines_of_command_line()
        if pipelines is not None:
            self._start_early(pipelines)

    def __repr__(self) -> str:
        return (
            f"prunner.ParallelRunner(max_workers={self._options.max_workers}, "
            f"is_async={self._is_async}, start_method={self._options.start_method!r})"
        )

    def _start_early(self, pipelines: list[str]) -> None:
        """Let a worker begin while ``kedro run`` still loads its context, catalog and pipelines."""
        if why_no_workers(self._options.start_method) is not None:
            return
        # Who interrupts now is heard when the worker is somebody's who will end it.
        with Interrupts(), suppress(WorkerStartError):  # which the run will report
            project = ProjectState.capture()
            threads = self._options.threads_per_worker or threads_that_fit(
                self._options.max_workers
            )
            preload = Preload(
                threads,
                pipelines=tuple(pipelines),
                sends_prints=is_possible(self._options.progress),
            )
            keeper.prepare(
                WorkerKind(self._options.start_method, project),
                lambda: packed_setup(project, preload),
            )

    def _execution(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hooks: PluginManager,
        run_id: str | None,
    ) -> Execution:
        # Not before: a worker could only be started when all that has been imported, too.
        from prunner.process_execution import ProcessExecution

        return ProcessExecution(
            self._options, pipeline, catalog, hooks, run_id=run_id, logger=self._logger
        )

    def _start_method(self) -> str:
        method: str = self._options.start_method
        return method
