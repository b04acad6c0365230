"""What may happen to a step: how often it is tried, how long it may take. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

_LONGEST = 365 * 24 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """The rules for one step.

    Attributes:
        retries: How often it is tried again at most.
        retry_on: Full names of the exception classes after which it is tried again, beside
            the death of its worker and the end of its time.
        retry_delay: Seconds between the first failure and the second try.
        retry_backoff: How many times longer each further delay is than the one before.
        timeout: Seconds that a try may take; ``None`` for no limit.
        resources: What a worker of a cluster has to have for it, and how much of it.
    """

    retries: int = 0
    retry_on: tuple[str, ...] = ()
    retry_delay: float = 0.0
    retry_backoff: float = 2.0
    timeout: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)

    def delay(self, failures: int) -> float:
        """Seconds to wait before the next try.

        Args:
            failures: How many tries have failed, at least 1.
        """
        if not self.retry_delay:
            return 0.0
        with contextlib.suppress(OverflowError):
            longer = float(self.retry_delay * self.retry_backoff ** (failures - 1))
            return min(longer, _LONGEST)
        return _LONGEST


def is_one_of(error: BaseException, names: Collection[str]) -> bool:
    """Whether an exception is of a class with one of these full names, or of one below it.

    Args:
        error: The exception.
        names: Such as ``requests.exceptions.Timeout``; built-in ones without a module.
    """
    return any(full_name(each) in names for each in type(error).__mro__)


def full_name(kind: type) -> str:
    """The name of a class, with its module unless it is built in."""
    inside = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{inside}{kind.__qualname__}"


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """What is to be done about memory.

    Attributes:
        mode: ``hold`` (a step waits as long as there is too little for it), ``log`` (only say that
            it would have waited), or ``off``.
        limit: How much the workers of a run and its in-memory data may use together, in bytes, or
            as a share of all that there is (a ``float``); ``None`` for no limit.
    """

    mode: str = "hold"
    limit: int | float | None = None

    def limit_of(self, total: int) -> int | None:
        """The limit in bytes.

        Args:
            total: All memory that there is, in bytes.
        """
        return int(self.limit * total) if isinstance(self.limit, float) else self.limit


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """The rules for a run.

    Attributes:
        keep_going: Whether steps that do not depend on a failed one are still started.
        memory: What is to be done about memory.
        default: The rules for steps that have none of their own.
        steps: The rules of others, by their index.
    """

    keep_going: bool = False
    default: StepPolicy = StepPolicy()
    steps: Mapping[int, StepPolicy] = field(default_factory=dict)
    memory: MemoryPolicy = MemoryPolicy()

    @property
    def limits_time(self) -> bool:
        """True if the time of some step is limited."""
        return any(each.timeout is not None for each in (self.default, *self.steps.values()))

    def of(self, step: int) -> StepPolicy:
        """The rules for a step."""
        return self.steps.get(step, self.default)


NO_POLICY = RunPolicy()  # nothing is tried again, and a failure stops the run
