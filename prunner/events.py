"""What the dispatcher and the thread that called ``run`` say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from prunner.bridge.messages import Failed, HookCall, Printed
from prunner.bridge.phases import StepTimes
from prunner.bridge.refs import DataRef
from prunner.errors import WorkerDied
from prunner.planning.decisions import GiveUp, Hold, Retry

# --- errands: what the thread that called run is asked to do ----------------------------------


@dataclass(frozen=True, slots=True)
class AnswerHook:
    """Call a hook for a worker and send it the answer."""

    worker: int
    call: HookCall


@dataclass(frozen=True, slots=True)
class HandleLog:
    """Give a worker's log record to the handlers of the parent."""

    worker: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunHere:
    """Run a pinned step."""

    step: int


class NoteDone(NamedTuple):
    """A step is done: log it and count it.

    Attributes:
        step: Which one.
        outputs: In-memory data that a worker made.
    """

    step: int
    outputs: Mapping[str, DataRef]


@dataclass(frozen=True, slots=True)
class NoteFailed:
    """A step raised in a worker.

    Attributes:
        message: What the worker says.
        outcome: What follows.
    """

    message: Failed
    outcome: Retry | GiveUp


@dataclass(frozen=True, slots=True)
class NoteFailedHere:
    """A pinned step raised.

    Attributes:
        step: Which one.
        outcome: What follows.
    """

    step: int
    outcome: Retry | GiveUp


@dataclass(frozen=True, slots=True)
class NoteDeath:
    """A worker has ended.

    Attributes:
        error: What is known of it.
        step: The step that ran there, if any.
        outcome: What follows for that step.
    """

    error: WorkerDied
    step: int | None = None
    outcome: Retry | GiveUp | None = None


@dataclass(frozen=True, slots=True)
class NoteHeld:
    """A step waits for memory: say so."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class NoteError:
    """Something went wrong that concerns no step."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class ReleaseDataset:
    """Nobody loads this dataset again."""

    dataset: str


@dataclass(frozen=True, slots=True)
class End:
    """The run is over."""


Errand = (
    AnswerHook
    | HandleLog
    | Printed
    | RunHere
    | NoteDone
    | NoteFailed
    | NoteFailedHere
    | NoteDeath
    | NoteHeld
    | NoteError
    | ReleaseDataset
    | End
)


# --- events from the thread that called run ---------------------------------------------------


class RanHere(NamedTuple):
    """A pinned step ended.

    Attributes:
        step: Which one.
        outputs: Its in-memory outputs that workers will load.
        unshareable: Its in-memory outputs that cannot leave the parent.
        seconds: How long it took.
        failed: Whether it raised.
        may_retry: Whether it raised something after which it may be tried again.
        times: How long its parts took.
    """

    step: int
    outputs: dict[str, DataRef]
    unshareable: frozenset[str]
    seconds: float = 0.0
    failed: bool = False
    may_retry: bool = False
    times: StepTimes | None = None


class Answered(NamedTuple):
    """A worker has the answer to a hook call; said where the time of steps is limited."""

    worker: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Leave the loop at once."""
