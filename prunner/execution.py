"""One run: what is prepared before its first step, and how its parts work together.

Nothing here is needed to start a worker, and ``runner`` imports it only when one is on its way.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from prunner import history
from prunner.bridge.data import Exchange
from prunner.bridge.hooks import implemented_hooks
from prunner.bridge.logs import LogLevels
from prunner.bridge.messages import BeginRun, RunSetup
from prunner.bridge.refs import DataRef
from prunner.bridge.worker_hooks import choose, pack_hooks, without
from prunner.dispatcher import Dispatcher
from prunner.errands import Errands
from prunner.events import Abort
from prunner.interrupts import Interrupts
from prunner.journal import Journal
from prunner.memory import share_inputs
from prunner.node_options import policy_of
from prunner.options import RunOptions, threads_that_fit
from prunner.planning.plan import RunPlan
from prunner.planning.policy import NO_POLICY
from prunner.planning.scheduler import Scheduler
from prunner.processes.book import RunBook, write_book
from prunner.processes.freshness import NO_CODE
from prunner.processes.keeper import WorkerKind
from prunner.processes.pool import WorkerPool
from prunner.processes.project import ProjectState
from prunner.processes.starting import why_no_workers
from prunner.processes.worker import Preload, packed_setup
from prunner.progress.display import shown
from prunner.progress.terminal import Terminal, claimed
from prunner.run_status import RunStatus
from prunner.sessions.current import recording_of

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from pluggy import PluginManager

    from prunner.sessions.recording import Recording


class Execution:
    """A run of a pipeline whose inputs have been checked.

    Args:
        options: The runner's.
        pipeline: The pipeline.
        catalog: Its catalog.
        hooks: The session's hook manager.
        run_id: Kedro's id of the run.
        logger: Where the progress is written.

    Attributes:
        recording: The record of the run, if there is one.
        errands: What was done, and what went wrong; ``None`` before anything could be.
    """

    errands: Errands | None = None

    def __init__(  # noqa: PLR0913 - the arguments of Kedro's _run and what belongs to the runner
        self,
        options: RunOptions,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hooks: PluginManager,
        *,
        run_id: str | None,
        logger: logging.Logger,
    ) -> None:
        self.recording = recording_of(catalog)
        self._journal = Journal()
        self._keys = history.keys_of(pipeline.nodes)
        self._pids: dict[int, int] = {}
        self._options = options
        self._pipeline = pipeline
        self._catalog = catalog
        self._hooks = hooks
        self._run_id = run_id
        self._logger = logger
        self._policy = NO_POLICY
        self._interrupts = Interrupts()
        self._needs: dict[int, int] = {}
        self._terminal: Terminal | None = None

    def run(self) -> None:
        """Run all steps, and give the catalog what workers made.

        Raises:
            Exception: What was wrong before the first step could begin.
            KeyboardInterrupt: If it was to end before it had ended; nothing of it goes on then.
        """
        with self._interrupts as interrupts:
            with interrupts.allowed():
                book, pinned = self._book()
                chosen = choose(self._hooks, self._options.worker_hooks)
            with (
                self._run_status(chosen),
                claimed(self._options.progress) as self._terminal,
                Exchange.create() as exchange,
            ):
                with interrupts.allowed():
                    hooks_here = without(self._hooks, chosen)
                    refs = share_inputs(self._pipeline, self._catalog, book, pinned, exchange)
                    plan = self._plan(book, pinned)
                    begin = self._begin(book, exchange, hooks_here, pack_hooks(chosen))
                self.errands = self._errands(plan, exchange, hooks_here)
                try:
                    self._execute(plan, self.errands, exchange, begin, refs)
                finally:
                    self._note_history(plan, self.errands)

    @contextmanager
    def _run_status(self, hooks_of_workers: dict[str, object]) -> Iterator[None]:
        status = RunStatus(self._hooks, hooks_of_workers, self._logger)
        try:
            status.begin(self._pipeline)
            yield
        finally:
            failed = [] if self.errands is None else list(self.errands.outcomes.failed)
            status.end(self._pipeline.nodes[failed[0]] if failed else None)

    def _note_history(self, plan: RunPlan, errands: Errands) -> None:
        nodes = self._pipeline.nodes
        history.note(self._keys, self._journal.seconds(), self._needs)
        if self.recording is not None:
            self._trace(self.recording, plan, errands)
        for step, need in self._needs.items():
            self._logger.debug("Node '%s' needed up to %.0f MB.", nodes[step].name, need / 1e6)

    def _trace(self, recording: Recording, plan: RunPlan, errands: Errands) -> None:
        from prunner.sessions.tracing import Traced  # no matter of a run that is not recorded

        recording.trace(
            Traced(
                plan=plan,
                nodes=self._pipeline.nodes,
                keys=self._keys,
                journal=self._journal,
                outcomes=errands.outcomes,
                done=frozenset(errands.done),
                needs=self._needs,
                pids=self._pids,
                catalog=self._catalog,
            )
        )

    def _book(self) -> tuple[RunBook, dict[int, str]]:
        """What of the run goes to workers, and the nodes that cannot, each with the reason."""
        nodes = self._pipeline.nodes
        book, pinned = write_book(self._pipeline, self._catalog)
        if reason := why_no_workers(self._options.start_method):
            pinned = dict.fromkeys(range(len(nodes)), reason)
        self._policy, unknown = policy_of(
            nodes,
            self._options.keep_going,
            self._options.on_failure,
            self._options.node_options,
            self._options.memory,
        )
        for name in unknown:
            self._logger.warning("node_options: this run has no node and no tag '%s'.", name)
        return book, pinned

    def _plan(self, book: RunBook, pinned: dict[int, str]) -> RunPlan:
        plan = RunPlan.from_pipeline(self._pipeline, book.in_memory, pinned, *self._known())
        self._announce(plan)
        return plan

    def _known(self) -> history.Known:
        """What is known of the nodes: by this process, else by the records of others."""
        here = history.recall(self._keys)
        if self.recording is None:
            return here
        seconds, needs = self.recording.known(self._keys)
        return history.Known(seconds | here.seconds, needs | here.needs)

    def _errands(self, plan: RunPlan, exchange: Exchange, hooks_here: PluginManager) -> Errands:
        return Errands(
            plan,
            self._pipeline.nodes,
            self._catalog,
            self._hooks,
            run_id=self._run_id,
            is_async=self._options.is_async,
            exchange=exchange,
            logger=self._logger,
            hooks_of_workers=hooks_here,
            policy=self._policy,
        )

    def _begin(
        self,
        book: RunBook,
        exchange: Exchange,
        hooks_here: PluginManager,
        worker_hooks: bytes | None,
    ) -> BeginRun:
        return BeginRun(
            folders=exchange.folders,
            book=exchange.put(book.by_reference()),
            hooks=implemented_hooks(hooks_here),
            is_async=self._options.is_async,
            run_id=self._run_id,
            worker_hooks=worker_hooks,
            policy=self._policy,
            is_timed=self.recording is not None,
        )

    def _execute(
        self,
        plan: RunPlan,
        errands: Errands,
        exchange: Exchange,
        begin: BeginRun,
        refs: dict[str, DataRef],
    ) -> None:
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        project, levels = ProjectState.capture(), LogLevels.capture()
        workers = plan.workers_needed(self._options.max_workers)
        threads = self._options.threads_per_worker or threads_that_fit(workers)
        is_shown = self._terminal is not None
        preload = Preload(threads, modules=self._modules(plan), sends_prints=is_shown)
        pool = WorkerPool(
            WorkerKind(self._options.start_method, project),
            lambda: packed_setup(project, preload),
            inbox,
            # What hooks have begun in a worker, such as mlflow's run, must not go on in the next.
            self._options.idle_timeout if begin.worker_hooks is None else 0.0,
        )
        set_up = RunSetup(levels, project.requested_pipelines, threads, is_shown)
        scheduler = Scheduler(plan, self._policy)
        self._needs = scheduler.admission.needs
        dispatcher = Dispatcher(
            scheduler,
            pool,
            exchange,
            begin._replace(set_up=set_up),
            refs=refs,
            inbox=inbox,
            package=project.package_name,
            journal=self._journal,
        )
        loop = threading.Thread(
            target=dispatcher.run, args=(workers > 0,), name="prunner-dispatcher", daemon=True
        )
        with ExitStack() as stack:
            stack.callback(errands.close, dispatcher.errands)
            stack.callback(lambda: loop.join() if loop.ident else None)
            stack.callback(inbox.put, Abort())
            stack.enter_context(pool)
            stack.callback(lambda: self._pids.update(pool.pids))
            # Processes first: a forked one should find as few threads as possible.
            pool.start(workers)
            loop.start()
            stack.enter_context(shown(self._terminal, scheduler, self._journal, workers))
            with self._interrupts.allowed():
                errands.run(dispatcher.errands, pool, inbox.put)

    def _modules(self, plan: RunPlan) -> tuple[str, ...]:
        """The modules of the functions that workers will run."""
        nodes = self._pipeline.nodes
        there = [nodes[step.index].func for step in plan.steps if step.index not in plan.pinned]
        found = dict.fromkeys(getattr(func, "__module__", None) for func in there)
        return tuple(name for name in found if isinstance(name, str) and name not in NO_CODE)

    def _announce(self, plan: RunPlan) -> None:
        """Say once which nodes stay in the main process, and why."""
        by_reason: dict[str, list[str]] = {}
        for step, reason in plan.pinned.items():
            by_reason.setdefault(reason, []).append(plan.steps[step].name)
        for reason, names in by_reason.items():
            listed = ", ".join(f"'{name}'" for name in names)
            self._logger.info("Running in the main process: %s (%s)", listed, reason)
        for step in plan.pinned:
            if self._policy.of(step).timeout is not None:
                self._logger.warning(
                    "The timeout of node '%s' is not applied: it runs in the main process.",
                    plan.steps[step].name,
                )
