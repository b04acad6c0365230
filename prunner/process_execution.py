"""A run whose steps are carried out by worker processes of this machine.

Nothing here is needed to start a worker, and ``runner`` imports it only when one is on its way.
"""

from __future__ import annotations

import queue
import threading
from contextlib import ExitStack
from typing import Any

from prunner.bridge.data import Exchange
from prunner.bridge.hooks import implemented_hooks
from prunner.bridge.logs import LogLevels
from prunner.bridge.messages import BeginRun, RunSetup
from prunner.dispatcher import Dispatcher
from prunner.events import Abort
from prunner.execution import Execution, Prepared
from prunner.options import threads_that_fit
from prunner.planning.plan import RunPlan
from prunner.planning.scheduler import Scheduler
from prunner.processes.book import RunBook
from prunner.processes.freshness import NO_CODE
from prunner.processes.keeper import WorkerKind
from prunner.processes.pool import WorkerPool
from prunner.processes.project import ProjectState
from prunner.processes.starting import why_no_workers
from prunner.processes.worker import Preload, packed_setup
from prunner.progress.display import shown


class ProcessExecution(Execution):
    """A run on the processes of a ``WorkerPool``."""

    def _why_no_workers(self) -> str | None:
        return why_no_workers(self._options.start_method)

    def _data(self, book: RunBook) -> Exchange:
        return Exchange.create()

    def _begin(self, run: Prepared) -> BeginRun:
        return BeginRun(
            folders=run.exchange.folders,
            book=run.exchange.put(run.book.by_reference()),
            hooks=implemented_hooks(run.hooks),
            is_async=self._options.is_async,
            run_id=self._run_id,
            worker_hooks=run.worker_hooks,
            policy=self._policy,
            is_timed=self.recording is not None,
        )

    def _execute(self, run: Prepared) -> None:
        with self._interrupts.allowed():
            begin = self._begin(run)
        plan, errands = run.plan, run.errands
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
            run.exchange,
            begin._replace(set_up=set_up),
            refs=run.refs,
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
            stack.callback(self._note_processes, pool)
            # Processes first: a forked one should find as few threads as possible.
            pool.start(workers)
            loop.start()
            stack.enter_context(shown(self._terminal, scheduler, self._journal, workers))
            with self._interrupts.allowed():
                errands.run(dispatcher.errands, pool, inbox.put)

    def _note_processes(self, pool: WorkerPool) -> None:
        self._processes.update({number: (None, pid) for number, pid in pool.pids.items()})

    def _modules(self, plan: RunPlan) -> tuple[str, ...]:
        """The modules of the functions that workers will run."""
        nodes = self._pipeline.nodes
        there = [nodes[step.index].func for step in plan.steps if step.index not in plan.pinned]
        found = dict.fromkeys(getattr(func, "__module__", None) for func in there)
        return tuple(name for name in found if isinstance(name, str) and name not in NO_CODE)
