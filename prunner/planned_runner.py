"""What the runners have in common: how a run ends, what is suggested, which error is raised."""

from __future__ import annotations

import inspect
import logging
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from kedro.runner import AbstractRunner

from prunner import kedro_internals
from prunner.errors import PipelineFailed, described

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node
    from pluggy import PluginManager

    from prunner.errands import Errands
    from prunner.execution import Execution
    from prunner.sessions.recording import Recording

# Arguments of run() after the catalog, before the one that lets Kedro leave out nodes.
_ONLY_MISSING = 3


class PlannedRunner(AbstractRunner):
    """A runner that plans a run as a whole, and lets others carry it out.

    Args:
        is_async: Whether nodes load and save their datasets in threads, checked.
        given: The arguments of the runner.
    """

    _options: Any

    def __init__(self, is_async: bool, given: Mapping[str, Any]) -> None:
        self._given = _without_defaults(type(self), given)
        super().__init__(is_async=is_async)

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
            KeyboardInterrupt: On Ctrl-C; on SIGTERM one that is a ``SystemExit``, too.
        """
        if not self._is_async:
            self._logger.info(
                "Using synchronous mode for loading and saving data. Use the --async flag "
                "for potential performance gains."
            )
        execution = self._execution(
            pipeline, catalog, hook_manager or kedro_internals.no_hooks(), run_id
        )
        if execution.recording is not None:
            execution.recording.note(
                runner=self._class_path(),
                options=self._given,
                start_method=self._start_method(),
            )
        try:
            execution.run()
        except KeyboardInterrupt as interrupt:
            done = _done(pipeline, execution.errands)
            indexed = kedro_internals.IndexedPipeline(pipeline)
            self._suggest_resume_scenario(indexed, done, catalog)
            if execution.recording is not None:  # no hook is told of an interrupt
                left = kedro_internals.nodes_to_resume_from(indexed, done, catalog)
                execution.recording.resume_from(left)
                execution.recording.interrupted(interrupt)
            raise
        if execution.errands is not None and execution.errands.outcomes.errors:
            try:
                self._give_up(pipeline, catalog, execution.errands, execution.recording)
            finally:
                del execution  # which has the exception, whose traceback has this frame

    @abstractmethod
    def _execution(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hooks: PluginManager,
        run_id: str | None,
    ) -> Execution:
        """The run, which has not begun."""

    def _start_method(self) -> str | None:
        """How processes are started, if that is the runner's to say."""
        return None

    def _class_path(self) -> str:
        """What ``kedro run --runner`` takes."""
        kind = type(self)
        if kind.__module__.startswith("prunner."):
            return f"prunner.{kind.__name__}"
        return f"{kind.__module__}.{kind.__qualname__}"

    def _give_up(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        errands: Errands,
        recording: Recording | None,
    ) -> NoReturn:
        """Suggest how to resume, and raise what went wrong."""
        outcomes, names = errands.outcomes, [node.name for node in pipeline.nodes]
        error = self._take_most_urgent(outcomes.errors)
        done = _done(pipeline, errands)
        indexed = kedro_internals.IndexedPipeline(pipeline)
        if isinstance(error, Exception):
            self._suggest_resume_scenario(indexed, done, catalog)
        left: list[str] = []
        if recording is not None or self._options.keep_going:
            left = kedro_internals.nodes_to_resume_from(indexed, done, catalog)
        if recording is not None:
            recording.resume_from(left)
        failures = {names[step]: each for step, each in outcomes.failed.items()}
        if self._options.keep_going and _are_all(failures, len(outcomes.errors) + 1):
            error = PipelineFailed(
                failures,
                [names[step] for step in sorted(outcomes.skipped)],
                [node.name for node in done],
                f'--from-nodes "{",".join(left)}"' if left else None,
            )
        try:
            raise error
        finally:
            # Or the exception would refer to itself by its traceback.
            del error, errands, outcomes, failures

    def _take_most_urgent(self, errors: list[BaseException]) -> BaseException:
        """Take the first error out or, where a run goes on, one that may be in no group."""
        first = errors.pop(0)
        urgent = [each for each in errors if not isinstance(each, Exception)]
        if not (self._options.keep_going and urgent and isinstance(first, Exception)):
            return first
        # The others have been logged when they came.
        self._logger.error("Another error of this run: %s", described(first))
        errors[errors.index(urgent[0])] = first
        return urgent[0]


def _without_defaults(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a runner that are not as they are by default."""
    found = {}
    for each in inspect.signature(kind).parameters.values():
        value = given.get(each.name, each.default)
        if value is not each.default and value != each.default:
            found[each.name] = value
    return found


def _done(pipeline: Pipeline, errands: Errands | None) -> list[Node]:
    return [] if errands is None else [pipeline.nodes[step] for step in errands.done]


def _are_all(failures: dict[str, BaseException], count: int) -> TypeGuard[dict[str, Exception]]:
    """True if nothing went wrong but nodes, by exceptions that may be in a group."""
    return len(failures) == count and all(isinstance(e, Exception) for e in failures.values())
