from __future__ import annotations

import dataclasses
import queue
from typing import Any

import pytest

from prunner.bridge.failure import Failures
from prunner.bridge.messages import (
    BeginRun,
    Failed,
    Finished,
    FromWorker,
    HookCall,
    Ready,
    Recall,
    Returned,
    RunStep,
    RunSteps,
    StartFailed,
    WorkerGone,
)
from prunner.bridge.refs import DataRef
from prunner.dispatcher import Dispatcher
from prunner.errors import NodeTimeout, WorkerDied, WorkerStartError
from prunner.events import (
    Abort,
    AnswerHook,
    End,
    HandleLog,
    NoteDeath,
    NoteDone,
    NoteError,
    NoteFailed,
    NoteFailedHere,
    RanHere,
    ReleaseDataset,
    RunHere,
)
from prunner.journal import Journal
from prunner.planning.decisions import GiveUp, Retry
from prunner.planning.policy import NO_POLICY, RunPolicy, StepPolicy
from prunner.planning.scheduler import Scheduler
from prunner.processes.usage import Memory
from tests.core.test_scheduler import independent, plan_of

BEGIN = BeginRun(("folder",), DataRef(None, b"", 0), {}, False, None)


def ref(text):
    return DataRef(None, text.encode(), len(text))


class RecordingPool:
    FIRST_OF_OTHERS = 10  # no number is used twice

    def __init__(self):
        self.sent = []
        self.replaced = 0
        self.ended = []
        self.known = None
        self.dead = set()

    def order(self, number, message):
        self.sent.append((number, message))
        return number not in self.dead

    def answer(self, number, message):
        raise AssertionError("the dispatcher answers nobody")

    def replace(self):
        self.replaced += 1
        return self.FIRST_OF_OTHERS + self.replaced - 1

    def memory(self, number):
        return self.known

    def end(self, number):
        self.ended.append(number)


OTHER = RecordingPool.FIRST_OF_OTHERS


class RecordingExchange:
    def __init__(self):
        self.released = []
        self.counted = []

    def count(self, ref):
        self.counted.append(ref)

    def release(self, ref):
        self.released.append(ref)


SILENCE = object()


class Inbox(queue.SimpleQueue):  # type: ignore[type-arg]
    """In which for a while nothing arrives."""

    def get_nowait(self):
        raise queue.Empty  # what is there is taken by get()

    def get(self, block=True, timeout=None):
        event = super().get(block, None)
        if event is SILENCE:
            assert timeout is not None, "nobody would be waited for"
            raise queue.Empty
        return event


class Run:
    """A whole run whose events are known beforehand."""

    def __init__(
        self,
        plan,
        *events,
        refs=None,
        has_workers=True,
        patience=3600.0,
        policy=NO_POLICY,
        memory=None,
        dead=(),
    ):
        self.pool, self.exchange = RecordingPool(), RecordingExchange()
        self.pool.dead = set(dead)
        self.pool.known = memory
        inbox = Inbox()
        for event in (*events, Abort()):
            inbox.put(event)
        self.journal = Journal()
        self.dispatcher = Dispatcher(
            Scheduler(plan, policy),
            self.pool,
            self.exchange,  # type: ignore[arg-type]
            BEGIN,
            refs=refs or {},
            inbox=inbox,
            package="my_project",
            journal=self.journal,
        )
        self.dispatcher.patience = patience
        self.dispatcher.run(has_workers)
        self.errands: list[Any] = []
        while not self.dispatcher.errands.empty():
            self.errands.append(self.dispatcher.errands.get())
        assert isinstance(self.errands.pop(), End)
        self.errors = [e.error for e in self.errands if isinstance(e, (NoteError, NoteDeath))]
        self.aborted = inbox.empty()


def finished(step, outputs, seconds=1.0):
    """A step that took too long to be in a batch, unless said otherwise."""
    return Finished(step, outputs, seconds)


def done(step, outputs):
    return NoteDone(step, outputs)


def steps_sent(run):
    return [each.step for _, m in run.pool.sent if isinstance(m, RunSteps) for each in m.steps]


def said(message, worker=0):
    return FromWorker(worker, message)


def test_a_worker_is_told_of_the_run_and_then_of_its_steps():
    run = Run(
        plan_of([(["raw"], ["a"]), (["a"], ["b"])]),
        said(Ready()),
        said(finished(0, {"a": ref("a")})),
        said(finished(1, {"b": ref("b")})),
        refs={"raw": ref("raw"), "unused": ref("unused")},
    )
    assert run.pool.sent == [
        (0, BEGIN),
        (0, RunSteps((RunStep(0, {"raw": ref("raw")}),))),
        (0, RunSteps((RunStep(1, {"a": ref("a")}),))),
    ]
    assert run.errands == [
        done(0, {"a": ref("a")}),
        done(1, {"b": ref("b")}),
        ReleaseDataset("a"),
    ]
    assert run.exchange.released == [ref("a")]
    assert ref("a") in run.exchange.counted
    assert not run.aborted


def test_a_step_is_noted_before_its_datasets_are_released():
    run = Run(
        plan_of([(["raw"], ["a@save"]), (["a@load"], ["b"])]),
        said(Ready()),
        said(finished(0, {})),
        said(finished(1, {})),
    )
    assert run.errands == [
        done(0, {}),
        ReleaseDataset("a@save"),
        done(1, {}),
        ReleaseDataset("a@load"),
    ]


def test_what_needs_the_parent_becomes_an_errand_in_the_order_of_arrival():
    call, log = HookCall(0, "before_node_run", {}), {"msg": "text"}
    run = Run(independent(1), said(Ready()), said(log), said(call), said(finished(0, {})))
    assert run.errands == [HandleLog(0, log), AnswerHook(0, call), done(0, {})]


def test_a_pinned_step_is_an_errand_and_its_end_an_event():
    run = Run(
        plan_of([(["raw"], ["a"]), (["a"], ["b"]), (["b"], ["c"])], pinned=[1]),
        said(Ready()),
        said(finished(0, {"a": ref("a")})),
        RanHere(1, {"b": ref("b")}, frozenset(), 1.0),
        said(finished(2, {})),
    )
    assert RunHere(1) in run.errands
    assert run.pool.sent[-1] == (0, RunSteps((RunStep(2, {"b": ref("b")}),)))


def test_without_workers_pinned_steps_begin_at_once():
    run = Run(independent(1, pinned=[0]), RanHere(0, {}, frozenset(), 1.0), has_workers=False)
    assert run.errands == [RunHere(0), done(0, {})]
    assert run.pool.sent == []


def test_who_loads_what_cannot_leave_the_parent_runs_there():
    run = Run(
        plan_of([(["raw"], ["a"]), (["a"], ["b"]), (["b"], ["c"])], pinned=[0]),
        said(Ready()),
        RanHere(0, {}, frozenset({"a"})),
        RanHere(1, {"b": ref("b")}, frozenset(), 1.0),
        said(finished(2, {})),
    )
    assert [e.step for e in run.errands if isinstance(e, RunHere)] == [0, 1]
    assert run.pool.sent[-1] == (0, RunSteps((RunStep(2, {"b": ref("b")}),)))


def test_the_parents_own_data_is_not_handed_back_to_it():
    """It holds the very objects; a pickled copy may be less than these."""
    run = Run(
        plan_of([(["raw"], ["a"]), (["a"], ["c"])], pinned=[0]),
        said(Ready()),
        RanHere(0, {"a": ref("a")}, frozenset(), 1.0),
        said(finished(1, {"c": ref("c")})),
    )
    notes = [e for e in run.errands if isinstance(e, NoteDone)]
    assert notes == [done(0, {}), done(1, {"c": ref("c")})]
    assert run.pool.sent[-1] == (0, RunSteps((RunStep(1, {"a": ref("a")}),)))


def test_the_first_error_comes_first_and_running_steps_end():
    failed = [
        Failed(step, Failures().capture(ValueError("wrong")), "running", 4711) for step in (1, 0)
    ]
    run = Run(
        independent(4),
        said(Ready(), 0),
        said(Ready(), 1),
        said(failed[0], 1),
        said(failed[1], 0),
    )
    assert run.errands == [NoteFailed(failed[0], GiveUp(1)), NoteFailed(failed[1], GiveUp(0))]
    assert steps_sent(run) == [0, 1]
    assert not run.aborted


def test_a_pinned_step_that_fails_ends_the_run():
    run = Run(
        independent(2, pinned=[0, 1]), RanHere(0, {}, frozenset(), failed=True), has_workers=False
    )
    assert run.errands == [RunHere(0), NoteFailedHere(0, GiveUp(0))]
    assert not run.aborted


def test_a_worker_that_dies_at_a_step_is_an_error_with_the_name_of_its_node():
    run = Run(
        independent(3),
        said(Ready(), 0),
        said(Ready(), 1),
        WorkerGone(1, 4711, -9),
        said(finished(0, {}), 0),
    )
    (error,) = run.errors
    assert isinstance(error, WorkerDied)
    assert (error.node, error.exitcode, error.pid) == ("n1", -9, 4711)
    assert run.dispatcher._scheduler.done == {0}
    assert not run.aborted


def test_a_worker_that_dies_between_two_steps_is_replaced_and_harms_nobody():
    run = Run(
        independent(1),
        said(Ready(), 0),
        said(Ready(), 1),
        WorkerGone(1, 4711, 3),
        said(finished(0, {}), 0),
    )
    death, end = run.errands
    assert (death.error.node, death.step, death.outcome) == (None, None, None)
    assert end == done(0, {})
    assert run.pool.replaced == 1


def test_a_step_whose_worker_has_died_runs_again_in_the_place_of_that():
    run = Run(
        independent(1),
        said(Ready()),
        WorkerGone(0, 4711, -9),
        said(Ready(), OTHER),
        said(finished(0, {}), OTHER),
        policy=RunPolicy(default=StepPolicy(retries=1)),
    )
    death, end = run.errands
    assert death.outcome == Retry(0, 0.0)
    assert end == done(0, {})
    assert run.pool.replaced == 1
    assert steps_sent(run) == [0, 0]
    assert not run.aborted


def test_a_step_that_was_sent_to_a_worker_that_had_ended_goes_elsewhere_and_loses_no_try():
    run = Run(
        independent(1),
        said(Ready()),
        WorkerGone(0, 4711, -9),
        said(Ready(), OTHER),
        said(finished(0, {}), OTHER),
        dead=[0],
    )
    death, end = run.errands
    assert (death.step, death.error.node) == (None, None)
    assert end == done(0, {})
    assert steps_sent(run) == [0, 0]


def test_a_step_past_its_time_has_its_worker_ended_and_is_named():
    policy = RunPolicy(default=StepPolicy(timeout=0.0), steps={1: StepPolicy()})
    run = Run(
        independent(2),
        said(Ready(), 0),
        said(Ready(), 1),
        WorkerGone(0, 4711, -9, "stuck here"),
        said(finished(1, {}), 1),
        policy=policy,
    )
    (error,) = run.errors
    assert isinstance(error, NodeTimeout)
    assert (error.node, error.timeout, error.frames) == ("n0", 0.0, "stuck here")
    assert run.pool.ended == [0]


def test_what_has_begun_when_a_step_past_its_time_ended_after_all_loses_no_try():
    policy = RunPolicy(steps={0: StepPolicy(timeout=0.0)})
    run = Run(
        independent(2),
        said(Ready()),
        said(finished(0, {})),
        WorkerGone(0, 4711, -9),
        said(Ready(), OTHER),
        said(finished(1, {}), OTHER),
        policy=policy,
    )
    (death,) = [each for each in run.errands if isinstance(each, NoteDeath)]
    assert death.outcome == Retry(1, 0.0)
    assert run.pool.ended == [0]
    assert steps_sent(run) == [0, 1, 1]


def test_a_death_tells_what_is_known_of_memory_and_of_the_crash():
    scarce = Memory(peak=900, free=1, total=1000, killings=0)
    deaths: list[Any] = [
        Run(independent(1), said(Ready()), WorkerGone(0, 1, code, frames), memory=memory).errors[0]
        for code, frames, memory in [
            (-9, "", scarce),
            (-11, "in native", scarce),
            (-9, "", scarce._replace(free=500)),
            (-9, "", scarce._replace(free=500, killings=1)),
            (-9, "", None),
        ]
    ]
    assert all(isinstance(each, WorkerDied) for each in deaths)
    assert [each.out_of_memory for each in deaths] == [True, False, False, True, False]
    assert (deaths[0].peak_memory, deaths[0].free_memory) == (900, 1)
    assert deaths[1].frames == "in native"
    assert deaths[4].peak_memory is None


def test_a_worker_that_cannot_set_up_the_project_says_why():
    cause = "ImportError: no module named 'settings'"
    run = Run(independent(1), said(StartFailed(cause, "Traceback ...")))
    (error,) = run.errors
    assert isinstance(error, WorkerStartError)
    assert error.package == "my_project"
    assert (error.cause, error.details) == (cause, "Traceback ...")
    assert run.pool.sent == []
    assert not run.aborted


def test_several_workers_that_cannot_start_are_one_error():
    run = Run(
        independent(3),
        said(Ready(), 0),
        said(StartFailed("ImportError: no module", ""), 1),
        said(StartFailed("ImportError: no module", ""), 2),
        said(finished(0, {}), 0),
    )
    assert [type(error) for error in run.errors] == [WorkerStartError]
    assert run.errands[-1] == done(0, {})


def test_the_end_of_a_worker_that_could_not_start_is_no_error_of_its_own():
    run = Run(
        independent(1),
        said(Ready(), 0),
        said(StartFailed("ImportError: no module", ""), 1),
        WorkerGone(1, 4711, 1),
        said(finished(0, {}), 0),
    )
    assert [type(error) for error in run.errors] == [WorkerStartError]


def test_a_worker_that_ends_before_it_is_ready_is_replaced():
    run = Run(
        independent(1),
        WorkerGone(0, 4711, 3),
        said(Ready(), OTHER),
        said(finished(0, {}), OTHER),
    )
    death, end = run.errands
    assert (death.step, death.error.is_starting) == (None, True)
    assert "ended while it started (exit code 3)" in str(death.error)
    assert end == done(0, {})


def test_workers_that_end_one_after_the_other_before_they_are_ready_are_a_failed_start():
    deaths = [WorkerGone(number, 4711, 134, "in native") for number in (0, OTHER, OTHER + 1)]
    run = Run(independent(1), *deaths)
    error = run.errors[-1]
    assert isinstance(error, WorkerStartError)
    assert "3 processes have ended before they were ready" in error.cause
    assert "exit code 134" in error.cause
    assert error.details == "in native"
    assert run.pool.replaced == 2
    assert not run.aborted


def test_workers_that_end_one_after_the_other_between_two_steps_are_an_error():
    numbers = (0, OTHER, OTHER + 1)
    plan = plan_of([(["raw"], ["a"]), (["a"], ["b"])], pinned=[0])
    run = Run(plan, *(e for n in numbers for e in (said(Ready(), n), WorkerGone(n, 4711, 3))))
    assert isinstance(run.errands[-1], NoteError)
    assert "between two nodes (exit code 3)" in str(run.errors[-1])
    assert run.pool.replaced == 2


def test_workers_that_end_before_they_hear_of_their_step_do_not_stop_the_run_from_ending():
    numbers = (0, OTHER, OTHER + 1)
    run = Run(
        independent(1),
        *(e for n in numbers for e in (said(Ready(), n), WorkerGone(n, 4711, 3))),
        dead=numbers,
    )
    assert isinstance(run.errands[-1], NoteError)
    assert not run.aborted


def test_the_end_of_all_workers_at_once_harms_nobody():
    gone = [WorkerGone(number, 4711, -9) for number in range(5)]
    run = Run(
        independent(1),
        *(said(Ready(), number) for number in range(5)),
        said(finished(0, {})),
        *gone,
    )
    assert run.errors == []
    run = Run(plan_of([(["raw"], ["a"]), (["a"], ["b"])], pinned=[0]), *gone)
    assert run.pool.replaced == 5
    assert not any(isinstance(each, NoteError) for each in run.errands)


def test_abort_leaves_the_loop_at_once():
    run = Run(independent(2), said(Ready()))
    assert run.aborted
    assert run.errors == []


def test_a_fault_of_the_loop_itself_ends_the_run_with_it():
    run = Run(independent(1), said(Ready()), said(finished(99, {})))
    assert len(run.errors) == 1
    assert isinstance(run.errors[0], Exception)


@pytest.mark.parametrize("has_workers", [True, False])
def test_an_empty_plan_ends_at_once(has_workers):
    run = Run(plan_of([]), has_workers=has_workers)
    assert run.errands == []
    assert not run.aborted


CHAIN = [(["raw"], ["a"]), (["a"], ["b"]), (["b"], ["c"]), (["c"], ["d"])]


def short_chain(*events, **kwargs):
    """A run of a chain whose steps are known to be short."""
    plan = dataclasses.replace(plan_of(CHAIN), seconds=dict.fromkeys(range(4), 0.001))
    return Run(plan, said(Ready()), *events, refs={"raw": ref("raw")}, **kwargs)


def test_a_chain_of_short_steps_is_one_message():
    run = short_chain(
        *(said(finished(i, {name: ref(name)}, 0.001)) for i, name in enumerate("abcd"))
    )
    first = RunStep(0, {"raw": ref("raw")})
    followers = [RunStep(i, {}, (i - 1,)) for i in (1, 2, 3)]
    assert run.pool.sent == [(0, BEGIN), (0, RunSteps((first, *followers)))]
    assert run.errors == []


def test_who_says_nothing_gives_back_what_waits_there_and_gets_it_again_with_its_data():
    returned = [said(Returned((1, 2, 3))), said(finished(0, {"a": ref("a")}))]
    run = short_chain(SILENCE, *returned, said(finished(1, {"b": ref("b")})), patience=0.0)
    assert [message for _, message in run.pool.sent[2:]] == [
        Recall(),
        RunSteps((RunStep(1, {"a": ref("a")}),)),
        RunSteps((RunStep(2, {"b": ref("b")}),)),
    ]
    assert run.errors == []


def test_it_is_noted_how_long_each_step_took():
    run = Run(independent(2), said(Ready()), said(finished(0, {}, 3.5)), said(finished(1, {}, 0.5)))
    assert run.journal.seconds() == pytest.approx({0: 3.5, 1: 0.5})
