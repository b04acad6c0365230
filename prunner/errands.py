"""What happens in the parent on the thread that called ``run``, one errand after the other.

Hooks, log records and pinned steps run here, where ``SequentialRunner`` would run them: on the
session's own hook instances, the real catalog and the caller's thread, which things such as
mlflow's active run, a database connection or a window of a GUI are bound to.
"""

from __future__ import annotations

import logging
import queue
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kedro.runner import Task

from prunner.bridge.data import DataRef, Exchange
from prunner.bridge.hooks import answer_hook
from prunner.bridge.logs import handle_here
from prunner.dispatcher import (
    AnswerHook,
    End,
    Errand,
    HandleLog,
    NoteDone,
    RanHere,
    ReleaseDataset,
    RunHere,
)
from prunner.errors import DataTransferError
from prunner.kedro_internals import strip_transcoding
from prunner.memory import adopt, share

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline.node import Node
    from pluggy import PluginManager

    from prunner.dispatcher import Pool
    from prunner.planning.plan import RunPlan


class Errands:
    """Does errands until the run is over.

    Args:
        plan: The plan of the run.
        nodes: The nodes by their step.
        catalog: The real catalog.
        hook_manager: The session's.
        run_id: Kedro's id of the run.
        is_async: Whether nodes load and save in threads.
        exchange: The data files of the run.
        logger: Where the progress is written.

    Attributes:
        done: The steps that are done.
    """

    def __init__(  # noqa: PLR0913 - the arguments of Kedro's _run and what belongs to the run
        self,
        plan: RunPlan,
        nodes: list[Node],
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager,
        *,
        run_id: str | None,
        is_async: bool,
        exchange: Exchange,
        logger: logging.Logger,
    ) -> None:
        self.done: list[int] = []
        self._done_here: set[int] = set()
        self._plan = plan
        self._nodes = nodes
        self._catalog = catalog
        self._hook_manager = hook_manager
        self._run_id = run_id
        self._is_async = is_async
        self._exchange = exchange
        self._logger = logger
        self._variants: defaultdict[str, set[str]] = defaultdict(set)
        for name in {name for s in plan.steps for name in (*s.inputs, *s.outputs)}:
            self._variants[strip_transcoding(name)].add(name)
        self._consumed = {name for s in plan.steps for name in s.inputs}

    def run(
        self, errands: queue.SimpleQueue[Errand], pool: Pool, report: Callable[[RanHere], None]
    ) -> End:
        """Do what the dispatcher asks for.

        Args:
            errands: The dispatcher's.
            pool: Takes answers to hook calls.
            report: Takes the ends of pinned steps.

        Returns:
            How the run ended.
        """
        while True:
            match errands.get():
                case HandleLog(message):
                    handle_here(message.attributes)
                case AnswerHook(worker, call):
                    known = self._known(call.step)
                    pool.send(worker, answer_hook(self._hook_manager, call, known, self._exchange))
                case RunHere(step, inputs):
                    report(self._run_here(step, inputs))
                case NoteDone(step):
                    self._note_done(step)
                case ReleaseDataset(dataset):
                    self._catalog.release(dataset)
                case End() as end:
                    return end

    def adopt(self, made: Mapping[str, DataRef]) -> list[DataTransferError]:
        """Let the real catalog hold in-memory data that workers made; return what went wrong."""
        errors = []
        for name, ref in made.items():
            try:
                adopt(self._catalog, name, ref, self._exchange)
            except DataTransferError as error:
                errors.append(error)
        return errors

    def _known(self, step: int) -> dict[str, Any]:
        return {
            "node": self._nodes[step],
            "catalog": self._catalog,
            "is_async": self._is_async,
            "run_id": self._run_id,
        }

    def _note_done(self, step: int) -> None:
        if step not in self._done_here:
            self._forget(self._plan.steps[step].outputs)
        self.done.append(step)
        self._logger.info("Completed node: %s", self._nodes[step].name)
        self._logger.info("Completed %d out of %d tasks", len(self.done), len(self._nodes))

    def _forget(self, saved: Iterable[str]) -> None:
        """Let no dataset that another process saved go on with what it had listed before."""
        for name in saved:
            for variant in self._variants[strip_transcoding(name)] - self._plan.in_memory:
                self._catalog.release(variant)

    def _run_here(self, step: int, inputs: dict[str, DataRef]) -> RanHere:
        try:
            for error in self.adopt(inputs):
                raise error
            Task(
                node=self._nodes[step],
                catalog=self._catalog,
                is_async=self._is_async,
                hook_manager=self._hook_manager,
                run_id=self._run_id,
            ).execute()
        except Exception as error:
            return RanHere(step, {}, frozenset(), error)
        self._done_here.add(step)
        return self._share_outputs(step)

    def _share_outputs(self, step: int) -> RanHere:
        outputs = {}
        unshareable = set()
        for name in self._plan.steps[step].outputs:
            if name not in self._plan.in_memory or name not in self._consumed:
                continue
            try:
                ref = share(self._catalog, name, self._exchange)
            except DataTransferError:
                unshareable.add(name)
            else:
                if ref is not None:
                    outputs[name] = ref
        return RanHere(step, outputs, frozenset(unshareable))
