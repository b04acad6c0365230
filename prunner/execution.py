"""One run: what is prepared before its first step, and how its parts work together.

What carries it out is a kind of its own: ``process_execution``, ``cluster.execution``.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from prunner import history
from prunner.bridge.data import DataStore
from prunner.bridge.refs import DataRef
from prunner.bridge.worker_hooks import choose, pack_hooks, without
from prunner.errands import Errands
from prunner.interrupts import Interrupts
from prunner.journal import Journal
from prunner.memory import share_inputs
from prunner.node_options import policy_of
from prunner.planning.plan import RunPlan
from prunner.planning.policy import NO_POLICY, MemoryPolicy
from prunner.processes.book import RunBook, write_book
from prunner.progress.terminal import Terminal, claimed
from prunner.run_status import RunStatus
from prunner.sessions.current import recording_of

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from pluggy import PluginManager

    from prunner.sessions.recording import Recording


class Options(Protocol):
    """The options that every kind of run has, checked; see ``RunOptions``."""

    @property
    def is_async(self) -> bool:
        """Whether nodes load and save in threads."""

    @property
    def worker_hooks(self) -> tuple[str, ...] | None:
        """Hooks that run inside the workers."""

    @property
    def keep_going(self) -> bool:
        """Whether a run goes on with what does not depend on a failed node."""

    @property
    def on_failure(self) -> Mapping[str, Any]:
        """``retries`` and the like of all nodes."""

    @property
    def node_options(self) -> Mapping[str, Mapping[str, Any]]:
        """The same of single nodes and tags."""

    @property
    def memory(self) -> MemoryPolicy:
        """What is to be done about memory."""

    @property
    def progress(self) -> bool | None:
        """Whether the progress is shown."""


class Prepared(NamedTuple):
    """A run, ready to be carried out.

    Attributes:
        plan: Its plan.
        book: What of it goes to workers.
        errands: What the calling thread does.
        exchange: Its in-memory data.
        refs: In-memory data that there is already: inputs of the pipeline.
        hooks: The hooks that answer the calls of workers.
        worker_hooks: The plugins whose hooks run in workers, pickled; ``None`` for none.
    """

    plan: RunPlan
    book: RunBook
    errands: Errands
    exchange: Any
    refs: dict[str, DataRef]
    hooks: PluginManager
    worker_hooks: bytes | None


class Execution(ABC):
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
        options: Any,
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
        self._processes: dict[int, tuple[str | None, int]] = {}
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
                self._data(book) as exchange,
            ):
                with interrupts.allowed():
                    hooks_here = without(self._hooks, chosen)
                    refs = share_inputs(self._pipeline, self._catalog, book, pinned, exchange)
                    plan = self._plan(book, pinned)
                    packed = pack_hooks(chosen)
                self.errands = self._errands(plan, exchange, hooks_here)
                try:
                    self._execute(
                        Prepared(plan, book, self.errands, exchange, refs, hooks_here, packed)
                    )
                finally:
                    self._note_history(plan, self.errands)

    @abstractmethod
    def _why_no_workers(self) -> str | None:
        """Why all nodes have to stay in the main process, if they have to."""

    @abstractmethod
    def _data(self, book: RunBook) -> AbstractContextManager[DataStore]:
        """Where the in-memory data of the run is, until its end."""

    @abstractmethod
    def _execute(self, run: Prepared) -> None:
        """Carry it out."""

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
                processes=self._processes,
                catalog=self._catalog,
            )
        )

    def _book(self) -> tuple[RunBook, dict[int, str]]:
        """What of the run goes to workers, and the nodes that cannot, each with the reason."""
        nodes = self._pipeline.nodes
        book, pinned = write_book(self._pipeline, self._catalog)
        if reason := self._why_no_workers():
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

    def _errands(self, plan: RunPlan, exchange: DataStore, hooks_here: PluginManager) -> Errands:
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
