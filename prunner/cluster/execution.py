"""A run whose steps are the tasks of a Dask cluster."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from prunner import kedro_internals
from prunner.bridge.hooks import implemented_hooks
from prunner.bridge.logs import LogLevels
from prunner.cluster import steps
from prunner.cluster.connection import connected
from prunner.cluster.dispatcher import ClusterDispatcher
from prunner.cluster.environment import Environment
from prunner.cluster.exchange import ClusterExchange
from prunner.cluster.graph import Graph
from prunner.cluster.messages import ClusterRun
from prunner.cluster.plugin import RunPlugin
from prunner.cluster.recorder import levels_for_workers
from prunner.cluster.source import source_of
from prunner.cluster.state import ClusterState
from prunner.events import Abort
from prunner.execution import Execution, Prepared
from prunner.fingerprint import name_of
from prunner.processes.book import RunBook, datasets_of
from prunner.processes.project import ProjectState
from prunner.progress.display import shown

if TYPE_CHECKING:
    from distributed import Client


class ClusterExecution(Execution):
    """A run on the workers of a cluster."""

    _client: Client

    def _why_no_workers(self) -> None:
        return None

    @contextlib.contextmanager
    def _data(self, book: RunBook) -> Iterator[ClusterExchange]:
        """Join the cluster, on whose workers the data will be."""
        # No word that would be a part of the name of a task on Dask's dashboard.
        self._token = f"0{uuid.uuid4().hex[:15]}"
        makers = {n: step for step, node in enumerate(self._pipeline.nodes) for n in node.outputs}
        with ExitStack() as stack:
            with self._interrupts.allowed():
                self._client = stack.enter_context(connected(self._options))
            exchange = ClusterExchange(self._client, self._token, makers)
            stack.callback(exchange.close)
            yield exchange

    def _execute(self, run: Prepared) -> None:
        nodes = self._pipeline.nodes
        project = ProjectState.capture()
        told = self._told(run, project)
        with self._interrupts.allowed():
            environment = Environment(self._client, told, self._logger)
            environment.check(self._catalog, run.book)
        graph = Graph(
            run.plan,
            run.book,
            {step: name_of(node.func).rpartition(".")[2] for step, node in enumerate(nodes)},
            self._token,
            self._policy,
            {step: tuple(datasets_of(node)) for step, node in enumerate(nodes)},
            kedro_internals.copy_modes(self._catalog, run.book.in_memory),
        )
        state = ClusterState(run.plan, self._policy.keep_going)
        dispatcher = ClusterDispatcher(
            self._client,
            state,
            graph,
            run.exchange,
            refs=run.refs,
            token=self._token,
            package=project.package_name,
            journal=self._journal,
        )
        loop = threading.Thread(target=dispatcher.run, name="prunner-dispatcher", daemon=True)
        with ExitStack() as stack:
            stack.callback(run.errands.close, dispatcher.errands)
            stack.callback(lambda: self._processes.update(dispatcher.workers.processes))
            stack.callback(lambda: loop.join() if loop.ident else None)
            stack.callback(dispatcher.inbox.put, Abort())
            stack.callback(self._leave, run, dispatcher, told.topic)
            with self._interrupts.allowed():
                self._client.subscribe_topic(told.topic, dispatcher.hear)
                plugin = RunPlugin(told)
                self._client.register_plugin(plugin, name=plugin.name)
                environment.check_set_up()
            loop.start()
            stack.enter_context(shown(self._terminal, state, self._journal, environment.threads))
            with self._interrupts.allowed():
                run.errands.run(dispatcher.errands, dispatcher.workers, dispatcher.inbox.put)

    def _leave(self, run: Prepared, dispatcher: ClusterDispatcher, topic: str) -> None:
        """Let the cluster forget the run."""
        with contextlib.suppress(Exception):  # it may be gone
            if not dispatcher.is_complete:
                run.exchange.close()  # what has not begun will not
                self._client.run(steps.leave, self._token, on_error="ignore")
            for name in dispatcher.plugins(RunPlugin.name_of(self._token)):
                self._client.unregister_worker_plugin(name)
            self._client.unsubscribe_topic(topic)

    def _told(self, run: Prepared, project: ProjectState) -> ClusterRun:
        package = project.package_name
        return ClusterRun(
            token=self._token,
            # What belongs to a client the scheduler forgets with it.
            topic=f"{self._client.id}-{self._token}",
            package=package,
            pipelines=project.requested_pipelines,
            source=None if package is None else source_of(package, self._options.upload_project),
            catalog=run.book.catalog,
            functions=tuple(run.book.functions),
            hooks=implemented_hooks(run.hooks),
            worker_hooks=run.worker_hooks,
            is_async=self._options.is_async,
            run_id=self._run_id,
            levels=levels_for_workers(LogLevels.capture()),
            internal=run.book.internal,
        )
