"""``ParallelRunner``: runs a Kedro pipeline on several processes."""

from __future__ import annotations

import logging
import pickle
import queue
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.runner import AbstractRunner

from prunner import kedro_internals
from prunner.bridge.data import DataRef, Exchange
from prunner.bridge.hooks import implemented_hooks
from prunner.bridge.logs import LogLevels
from prunner.bridge.messages import BeginRun, RunSetup
from prunner.bridge.worker_hooks import choose, pack_hooks, without
from prunner.dispatcher import Abort, Dispatcher
from prunner.errands import Errands
from prunner.history import known_durations, note_durations
from prunner.memory import share_inputs
from prunner.options import (
    DEFAULT_IDLE_TIMEOUT,
    check_idle_timeout,
    check_is_async,
    check_max_workers,
    check_threads,
    check_worker_hooks,
    resolve_start_method,
    threads_that_fit,
)
from prunner.planning.plan import RunPlan
from prunner.planning.scheduler import Scheduler
from prunner.processes.book import write_book
from prunner.processes.keeper import WorkerKind
from prunner.processes.pool import WorkerPool
from prunner.processes.process import why_no_workers
from prunner.processes.project import ProjectState
from prunner.processes.worker import WorkerSetup

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from pluggy import PluginManager

# Arguments of run() after the catalog, before the one that lets Kedro leave out nodes.
_ONLY_MISSING = 3


class ParallelRunner(AbstractRunner):
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
    ) -> None:
        super().__init__(is_async=check_is_async(is_async))
        self._max_workers = check_max_workers(max_workers)
        self._start_method = resolve_start_method(start_method)
        self._worker_hooks = check_worker_hooks(worker_hooks)
        self._threads = check_threads(threads_per_worker)
        self._idle_timeout = check_idle_timeout(idle_timeout)

    def __repr__(self) -> str:
        return (
            f"prunner.ParallelRunner(max_workers={self._max_workers}, "
            f"is_async={self._is_async}, start_method={self._start_method!r})"
        )

    @property
    def _logger(self) -> logging.Logger:
        # Below "kedro", so that a project's logging configuration applies as to Kedro's runners.
        return logging.getLogger("kedro.runner.prunner")

    def run(
        self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Run a pipeline.

        Args:
            pipeline: The pipeline.
            catalog: Its catalog.
            args: As for Kedro's own runners of the installed release.
            kwargs: The same.

        Returns:
            The datasets of the pipeline's outputs.

        Raises:
            ValueError: If an input of the pipeline is not in the catalog.
        """
        if len(args) < _ONLY_MISSING and not kwargs.get("only_missing_outputs"):
            kedro_internals.materialize(pipeline, catalog)
        result: dict[str, Any] = super().run(pipeline, catalog, *args, **kwargs)
        return result

    def _get_executor(self, max_workers: int) -> None:
        """Kedro's own loop, which would ask for this, is not used."""

    def _run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        """Run a pipeline whose inputs have been checked.

        Args:
            pipeline: The pipeline.
            catalog: Its catalog.
            hook_manager: The session's hook manager.
            run_id: Kedro's id of the run.

        Raises:
            Exception: The error of the first node that failed.
            WorkerStartError: If the project could not be set up in a worker.
            WorkerDied: If a worker process ended while it ran a node.
        """
        if not self._is_async:
            self._logger.info(
                "Using synchronous mode for loading and saving data. Use the --async flag "
                "for potential performance gains."
            )
        hooks = hook_manager or kedro_internals.no_hooks()
        chosen = choose(hooks, self._worker_hooks)
        hooks_here = without(hooks, chosen)
        book, pinned = write_book(pipeline, catalog)
        if reason := why_no_workers(self._start_method):
            pinned = dict.fromkeys(range(len(pipeline.nodes)), reason)
        with Exchange.create() as exchange:
            refs = share_inputs(pipeline, catalog, book, pinned, exchange)
            known = known_durations(pipeline.nodes)
            plan = RunPlan.from_pipeline(pipeline, book.in_memory, pinned, known)
            self._announce(plan)
            errands = Errands(
                plan,
                pipeline.nodes,
                catalog,
                hooks,
                run_id=run_id,
                is_async=self._is_async,
                exchange=exchange,
                logger=self._logger,
                hooks_of_workers=hooks_here,
            )
            begin = BeginRun(
                folders=exchange.folders,
                book=exchange.put(book.by_reference()),
                hooks=implemented_hooks(hooks_here),
                is_async=self._is_async,
                run_id=run_id,
                worker_hooks=pack_hooks(chosen),
            )
            try:
                self._execute(plan, errands, exchange, begin, refs)
            finally:
                note_durations(pipeline.nodes, errands.seconds)
        if errands.errors:
            self._give_up(pipeline, catalog, errands)

    def _give_up(
        self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], errands: Errands
    ) -> NoReturn:
        """Suggest how to resume, and raise what went wrong first."""
        error = errands.errors.pop(0)
        if isinstance(error, Exception):
            done = [pipeline.nodes[step] for step in errands.done]
            self._suggest_resume_scenario(pipeline, done, catalog)
        try:
            raise error
        finally:
            del error  # or the exception would refer to itself by its traceback

    def _execute(
        self,
        plan: RunPlan,
        errands: Errands,
        exchange: Exchange,
        begin: BeginRun,
        refs: dict[str, DataRef],
    ) -> None:
        """Run all steps, and give the catalog what workers made."""
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        project, levels = ProjectState.capture(), LogLevels.capture()
        pool = WorkerPool(
            WorkerKind(self._start_method, project),
            lambda: pickle.dumps(WorkerSetup(project, levels)),
            inbox,
            # What hooks have begun in a worker, such as mlflow's run, must not go on in the next.
            self._idle_timeout if begin.worker_hooks is None else 0.0,
        )
        workers = plan.workers_needed(self._max_workers)
        threads = self._threads or threads_that_fit(workers)
        begin = replace(begin, set_up=RunSetup(levels, project.requested_pipelines, threads))
        dispatcher = Dispatcher(
            Scheduler(plan),
            pool,
            exchange,
            begin,
            refs=refs,
            inbox=inbox,
            package=project.package_name,
        )
        loop = threading.Thread(
            target=dispatcher.run, args=(workers > 0,), name="prunner-dispatcher", daemon=True
        )
        with ExitStack() as stack:
            stack.callback(lambda: loop.join() if loop.ident else None)
            stack.callback(inbox.put, Abort())
            stack.enter_context(pool)
            # Processes first: a forked one should find as few threads as possible.
            pool.start(workers)
            loop.start()
            errands.run(dispatcher.errands, pool, inbox.put)

    def _announce(self, plan: RunPlan) -> None:
        """Say once which nodes stay in the main process, and why."""
        by_reason: dict[str, list[str]] = {}
        for step, reason in plan.pinned.items():
            by_reason.setdefault(reason, []).append(plan.steps[step].name)
        for reason, names in by_reason.items():
            listed = ", ".join(f"'{name}'" for name in names)
            self._logger.info("Running in the main process: %s (%s)", listed, reason)
