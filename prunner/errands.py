"""What happens in the parent on the thread that called ``run``, one errand after the other.

Hooks, log records and pinned steps run here, where ``SequentialRunner`` would run them: on the
session's own hook instances, the real catalog and the caller's thread, which things such as
mlflow's active run, a database connection or a window of a GUI are bound to.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from kedro.runner import Task

from prunner.bridge.data import DataStore
from prunner.bridge.hooks import HookDesk
from prunner.bridge.logs import handle_here
from prunner.bridge.messages import Printed
from prunner.bridge.phases import PhaseWatch
from prunner.bridge.prints import print_here
from prunner.bridge.refs import DataRef
from prunner.errors import DataTransferError, WorkerDied
from prunner.events import (
    Answered,
    AnswerHook,
    End,
    Errand,
    HandleLog,
    NoteDeath,
    NoteDone,
    NoteError,
    NoteFailed,
    NoteFailedHere,
    NoteHeld,
    RanHere,
    ReleaseDataset,
    RunHere,
)
from prunner.kedro_internals import strip_transcoding
from prunner.memory import Loans, share
from prunner.outcomes import Outcomes
from prunner.planning.decisions import GiveUp, Retry
from prunner.planning.policy import NO_POLICY, RunPolicy, is_one_of

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline.node import Node
    from pluggy import PluginManager

    from prunner.bridge.messages import Failed, HookReply
    from prunner.planning.plan import RunPlan


class Answering(Protocol):
    """Who takes the answers to hook calls."""

    def answer(self, worker: int, message: HookReply) -> None:
        """Answer the hook call for which a worker waits."""


Report = Callable[["RanHere | Answered"], None]

_GLANCE = 0.1  # seconds


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
        hooks_of_workers: What answers the hook calls of workers; ``hook_manager`` by default.
        policy: The rules for steps that fail.

    Attributes:
        done: The steps that are done.
        outcomes: What went wrong.
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
        exchange: DataStore,
        logger: logging.Logger,
        hooks_of_workers: PluginManager | None = None,
        policy: RunPolicy = NO_POLICY,
    ) -> None:
        self.done: list[int] = []
        self.outcomes = Outcomes([step.name for step in plan.steps], logger)
        self._raised_here: dict[int, tuple[BaseException, str]] = {}
        self._done_here: set[int] = set()
        self._plan = plan
        self._nodes = nodes
        self._catalog = catalog
        self._hook_manager = hook_manager
        self._run_id = run_id
        self._is_async = is_async
        self._exchange = exchange
        self._logger = logger
        self._policy = policy
        self._limits_time = policy.limits_time  # found among all steps
        self._hooks_of_workers = hooks_of_workers or hook_manager
        self._loans = Loans(catalog, exchange)
        self._desks: dict[int, HookDesk] = {}
        self._suspects: set[str] = set()
        self._files = _files_behind(plan)
        self._consumed = {name for s in plan.steps for name in s.inputs}

    def run(
        self,
        errands: queue.SimpleQueue[Errand],
        pool: Answering,
        report: Report,
    ) -> None:
        """Do what the dispatcher asks for, until the run has ended.

        Args:
            errands: The dispatcher's.
            pool: Takes answers to hook calls.
            report: Takes the ends of pinned steps, and of hook calls.
        """
        while self._do(_next_of(errands), pool, report):
            pass
        self.outcomes.errors += self._loans.settle(self._suspects)

    def close(self, errands: queue.SimpleQueue[Errand]) -> None:
        """Give the catalog its own datasets back, however the run has ended.

        Args:
            errands: Those that are left; what was done counts, though nobody has said so, and what
                was printed is printed.
        """
        self._loans.give_back()
        with contextlib.suppress(queue.Empty):
            while True:
                errand = errands.get_nowait()
                if isinstance(errand, NoteDone):
                    self.done.append(errand.step)
                elif isinstance(errand, Printed):
                    print_here(errand)

    def _do(self, errand: Errand, pool: Answering, report: Report) -> bool:
        """Do one errand; False if it was the last one."""
        match errand:
            case NoteDone(step, outputs):
                self._note_done(step, outputs)
            case HandleLog() | Printed():
                _write(errand)
            case AnswerHook(worker, call):
                self._lend(call.saved)
                pool.answer(worker, self._desk(call.step).answer(call))
                self._note_answered(worker, report)
            case RunHere(step):
                report(self._run_here(step))
            case NoteHeld(hold):
                self.outcomes.note_held(hold)
            case NoteError(error):
                self.outcomes.append(error)
            case NoteFailed() | NoteFailedHere() | NoteDeath():
                self._note(errand)
            case ReleaseDataset(dataset):
                self._loans.release(dataset)
            case End():
                return False
        return True

    def _note_answered(self, worker: int, report: Report) -> None:
        if self._limits_time:
            report(Answered(worker))

    def _desk(self, step: int) -> HookDesk:
        if step not in self._desks:
            known = {
                "node": self._nodes[step],
                "catalog": self._catalog,
                "is_async": self._is_async,
                "run_id": self._run_id,
            }
            self._desks[step] = HookDesk(self._hooks_of_workers, known, self._exchange)
        return self._desks[step]

    def _note_done(self, step: int, outputs: Mapping[str, DataRef]) -> None:
        self._desks.pop(step, None)
        self._lend(outputs)
        if step not in self._done_here:
            self._forget(self._plan.steps[step].outputs)
        self.done.append(step)
        self._logger.info("Completed node: %s", self._nodes[step].name)
        self._logger.info("Completed %d out of %d tasks", len(self.done), len(self._nodes))

    def _lend(self, made: Mapping[str, DataRef]) -> None:
        for name, ref in made.items():
            self._loans.lend(name, ref)

    def _note(self, failure: NoteFailed | NoteFailedHere | NoteDeath) -> None:
        match failure:
            case NoteFailed(message, outcome):
                self._note_failed(message, outcome)
            case NoteFailedHere(step, outcome):
                error, phase = self._raised_here.pop(step)
                self.outcomes.note(step, error, outcome, (phase, "the main process"))
            case NoteDeath(error, step, outcome):
                self._note_death(error, step, outcome)

    def _note_failed(self, message: Failed, outcome: Retry | GiveUp) -> None:
        self._lend(message.saved)
        failures = self._desk(message.step).failures
        del self._desks[message.step]
        error = failures.restore(message.failure)
        where = f"worker process {message.pid}" + (f" on {message.host}" if message.host else "")
        self.outcomes.note(message.step, error, outcome, (message.phase, where))

    def _note_death(
        self, error: WorkerDied, step: int | None, outcome: Retry | GiveUp | None
    ) -> None:
        if step is None or outcome is None:
            self._logger.warning("%s", error)
            return
        self._desks.pop(step, None)
        if isinstance(outcome, GiveUp):
            # Loading them again, here, might be what ended the worker.
            self._suspects.update(self._plan.steps[step].inputs)
        self.outcomes.note(step, error, outcome)

    def _forget(self, saved: Iterable[str]) -> None:
        """Let no dataset that another process saved go on with what it had listed before."""
        for name in saved:
            for variant in self._files.get(name, ()):
                self._catalog.release(variant)

    def _run_here(self, step: int) -> RanHere:
        watch = PhaseWatch(self._hook_manager)
        begin = perf_counter()
        try:
            Task(
                node=self._nodes[step],
                catalog=self._catalog,
                is_async=self._is_async,
                hook_manager=watch,  # type: ignore[arg-type]
                run_id=self._run_id,
            ).execute()
        except KeyboardInterrupt:
            raise  # it is the user's, not the node's
        except BaseException as error:
            self._raised_here[step] = error, watch.phase
            may_retry = is_one_of(error, self._policy.of(step).retry_on)
            failed = RanHere(step, {}, frozenset(), failed=True, may_retry=may_retry)
            return failed._replace(seconds=perf_counter() - begin, times=watch.times)
        self._done_here.add(step)
        seconds = perf_counter() - begin
        return self._share_outputs(step)._replace(seconds=seconds, times=watch.times)

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


def _write(errand: HandleLog | Printed) -> None:
    match errand:
        case HandleLog(worker, attributes):
            handle_here(attributes, worker)
        case Printed():
            print_here(errand)


if sys.platform == "win32":

    def _next_of(errands: queue.SimpleQueue[Errand]) -> Errand:
        # Whoever waits for a lock does not notice Ctrl-C there before he has got it.
        while True:
            with contextlib.suppress(queue.Empty):
                return errands.get(timeout=_GLANCE)

else:

    def _next_of(errands: queue.SimpleQueue[Errand]) -> Errand:
        return errands.get()


def _files_behind(plan: RunPlan) -> dict[str, set[str]]:
    """For each dataset that is not in memory only: its name, and others for the same file."""
    variants: defaultdict[str, set[str]] = defaultdict(set)
    names = {name for step in plan.steps for name in (*step.inputs, *step.outputs)}
    for name in names - plan.in_memory:
        variants[strip_transcoding(name)].add(name)
    found = {name: variants.get(strip_transcoding(name)) for name in names}
    return {name: files for name, files in found.items() if files}
