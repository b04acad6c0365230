"""What the scheduler decides, and the dispatcher carries out."""

from __future__ import annotations

from dataclasses import dataclass

PARENT = -1


@dataclass(frozen=True, slots=True)
class Start:
    """Start a step on a worker, or in the parent process where ``worker == PARENT``.

    Attributes:
        step: Which step.
        worker: Where. If the worker is busy, the step follows what it has to do already.
        after: Parents that have not finished yet, and come before it on the same worker.
    """

    step: int
    worker: int
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Let a worker give back the steps that it has not begun."""

    worker: int


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody will load this dataset again in this run."""

    dataset: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A step has failed and will be tried again: report ``step_due`` after a while.

    Attributes:
        step: Which one.
        delay: Seconds until then.
        alone: Whether nothing else will run beside it.
    """

    step: int
    delay: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A step has failed for good.

    Attributes:
        step: Which one.
        skipped: The steps that depend on it, and will not run.
    """

    step: int
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Replace:
    """Start another worker, with a new number, in the place of one that has ended."""

    worker: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A step that could start waits for memory; said once for each.

    Attributes:
        step: Which one.
        need: Bytes that it needed before, if that is known.
        room: Bytes that may be used.
        only_said: Whether it starts all the same.
    """

    step: int
    need: int | None
    room: int
    only_said: bool


Decision = Start | TakeBack | Release | Retry | GiveUp | Replace | Hold
