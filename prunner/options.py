"""The options of the runner, checked once, with one clear error for each bad value."""

from __future__ import annotations

import logging
import math
import multiprocessing
import operator
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from loky import cpu_count

from prunner.errors import OptionError
from prunner.planning.policy import MemoryPolicy

START_METHODS = ("loky", "spawn", "forkserver", "fork")
DEFAULT_START_METHOD = "loky"
_MEMORY_MODES = ("hold", "log", "off")
_LEAST_MEMORY = 1_000_000  # bytes; less is a mistake
DEFAULT_IDLE_TIMEOUT = 300.0  # seconds; as joblib keeps its workers

logger = logging.getLogger(__name__)


class RunOptions(NamedTuple):
    """The options of a runner, checked.

    Attributes:
        max_workers: How many processes there may be at most.
        is_async: Whether nodes load and save their datasets in threads.
        start_method: ``loky``, ``spawn``, ``forkserver`` or ``fork``.
        worker_hooks: Hooks that run inside the workers; ``None`` for those that must.
        threads_per_worker: Threads of each numeric library; ``None`` for as many as fit.
        idle_timeout: Seconds that workers wait for a next run.
        keep_going: Whether a run goes on with what does not depend on a failed node.
        on_failure: ``retries`` and the like, checked, of all nodes.
        node_options: The same of single nodes and tags, by name.
        memory: What is to be done about memory.
        progress: Whether the progress is shown on a terminal; ``None`` if that depends on where.
    """

    max_workers: int
    is_async: bool
    start_method: str
    worker_hooks: tuple[str, ...] | None
    threads_per_worker: int | None
    idle_timeout: float
    keep_going: bool
    on_failure: Mapping[str, Any]
    node_options: Mapping[str, Mapping[str, Any]]
    memory: MemoryPolicy
    progress: bool | None


def available_start_methods() -> tuple[str, ...]:
    """The start methods of this operating system, the default first."""
    here = {"loky", *multiprocessing.get_all_start_methods()}
    others = [method for method in START_METHODS if method in here - {DEFAULT_START_METHOD}]
    return (DEFAULT_START_METHOD, *others)


def resolve_start_method(wanted: str | None) -> str:
    """Say how worker processes are started.

    Args:
        wanted: The option as given; ``None`` to ask the environment variables
            ``PRUNNER_START_METHOD`` and then ``KEDRO_MP_CONTEXT``.

    Returns:
        One of ``loky``, ``spawn``, ``forkserver`` and ``fork``.

    Raises:
        OptionError: If the option or ``PRUNNER_START_METHOD`` is not a start method that
            exists on this operating system.
    """
    if wanted is not None:
        return _checked(wanted, "start_method")
    own = os.environ.get("PRUNNER_START_METHOD")
    if own:
        return _checked(own, "The environment variable PRUNNER_START_METHOD")
    kedros = os.environ.get("KEDRO_MP_CONTEXT")
    if kedros is None:
        return DEFAULT_START_METHOD
    if kedros in available_start_methods():
        return kedros
    logger.warning(
        "KEDRO_MP_CONTEXT=%r is not one of %s and is ignored; workers are started by '%s'.",
        kedros,
        ", ".join(available_start_methods()),
        DEFAULT_START_METHOD,
    )
    return DEFAULT_START_METHOD


def _checked(method: object, source: str) -> str:
    known = available_start_methods()
    if isinstance(method, str) and method in known:
        return method
    reason = (
        f"'{method}' does not exist on this operating system"
        if method in START_METHODS
        else f"{method!r} is unknown"
    )
    raise OptionError(f"{source} must be one of {', '.join(known)}: {reason}.")


def check_max_workers(max_workers: int | None) -> int:
    """Say how many workers there may be at most.

    Args:
        max_workers: The option as given; ``None`` for the number of CPUs that this process
            may use (affinity and cgroups considered).

    Returns:
        A number of processes, at least 1.

    Raises:
        OptionError: If the option is not a positive whole number.
    """
    if max_workers is None:
        cpus: int = cpu_count()
        return cpus
    return _positive(max_workers, "max_workers")


def _positive(value: object, name: str) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type] # takes numpy's integers too
    except TypeError:
        raise OptionError(
            f"{name} must be a positive whole number or None, not {value!r} "
            f"({type(value).__name__})."
        ) from None
    if number < 1:
        raise OptionError(f"{name} must be at least 1, not {number}.")
    return number


def check_threads(threads_per_worker: int | None) -> int | None:
    """Check how many threads each numeric library may use in a worker.

    Args:
        threads_per_worker: The option as given; ``None`` for as many as fit the CPUs.

    Returns:
        The number, at least 1, or ``None``.

    Raises:
        OptionError: If the option is not a positive whole number.
    """
    if threads_per_worker is None:
        return None
    return _positive(threads_per_worker, "threads_per_worker")


def threads_that_fit(workers: int) -> int:
    """How many threads each worker may use, so that all together fit the CPUs of this process.

    Args:
        workers: The number of workers.
    """
    cpus: int = cpu_count()
    return max(1, cpus // max(1, workers))


def check_idle_timeout(idle_timeout: float) -> float:
    """Check how long workers wait for a next run.

    Args:
        idle_timeout: The option as given, in seconds.

    Returns:
        The same number, 0.0 or more.

    Raises:
        OptionError: If it is not a number of seconds.
    """
    is_number = isinstance(idle_timeout, (int, float)) and not isinstance(idle_timeout, bool)
    if not is_number or not 0 <= idle_timeout <= threading.TIMEOUT_MAX:
        raise OptionError(
            "idle_timeout must be a number of seconds, 0 (workers end with the run) or more, not "
            f"{idle_timeout!r}."
        )
    return float(idle_timeout)


def check_memory(memory_limit: float | None, memory_mode: str) -> MemoryPolicy:
    """Check how much memory may be used, and what is to be done when it is scarce.

    Args:
        memory_limit: The option as given: bytes, a share of all memory (above 0, at most 1), or
            ``None``.
        memory_mode: The option as given.

    Raises:
        OptionError: If one of them cannot be used.
    """
    if memory_mode not in _MEMORY_MODES:
        known = ", ".join(map(repr, _MEMORY_MODES))
        raise OptionError(f"memory_mode must be one of {known}, not {memory_mode!r}.")
    if memory_limit is None:
        return MemoryPolicy(memory_mode)
    is_number = isinstance(memory_limit, (int, float)) and not isinstance(memory_limit, bool)
    if is_number and 0 < memory_limit <= 1:
        return MemoryPolicy(memory_mode, float(memory_limit))
    if is_number and _LEAST_MEMORY <= memory_limit < math.inf:
        return MemoryPolicy(memory_mode, int(memory_limit))
    raise OptionError(
        f"memory_limit must be a number of bytes ({_LEAST_MEMORY:,} or more), a share of all "
        f"memory (above 0, at most 1), or None, not {memory_limit!r}."
    )


def check_is_async(is_async: bool) -> bool:
    """Check the flag for loading and saving in threads.

    Args:
        is_async: The option as given.

    Returns:
        The same flag.

    Raises:
        OptionError: If it is not a bool.
    """
    if not isinstance(is_async, bool):
        raise OptionError(f"is_async must be True or False, not {is_async!r}.")
    return is_async


def check_progress(progress: bool | None) -> bool | None:
    """Say whether the progress of a run is shown on the terminal.

    Args:
        progress: The option as given; ``None`` to ask the environment variable
            ``PRUNNER_PROGRESS``.

    Returns:
        The same, or what the variable says; ``None`` if neither says anything.

    Raises:
        OptionError: If the option is not a bool, or the variable is neither 0 nor 1.
    """
    if progress is not None and not isinstance(progress, bool):
        raise OptionError(f"progress must be True, False or None, not {progress!r}.")
    variable = os.environ.get("PRUNNER_PROGRESS")
    if progress is not None or not variable:
        return progress
    if variable not in ("0", "1"):
        raise OptionError(
            f"The environment variable PRUNNER_PROGRESS must be 0 or 1, not {variable!r}."
        )
    return variable == "1"


def check_worker_hooks(worker_hooks: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Check the names of the hooks that run inside the workers.

    Args:
        worker_hooks: The option as given: names, or one text with a space between two names (as a
            command line has it), or ``None``.

    Returns:
        The names, or ``None``.

    Raises:
        OptionError: If these are no names.
    """
    if worker_hooks is None:
        return None
    if isinstance(worker_hooks, str):
        return tuple(worker_hooks.split())
    names = tuple(worker_hooks) if isinstance(worker_hooks, Iterable) else (worker_hooks,)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise OptionError(f"worker_hooks must be names of hooks, not {name!r}.")
    return names
