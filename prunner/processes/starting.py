"""How a worker process is started, and where none can be.

Covers: what has to be so while a process is being started, and the options that it gets.
Does not cover: the process itself (``process``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Iterator

from loky.process_executor import LokyRecursionError, ProcessPoolExecutor

from prunner.processes import main_module

FORKING = ("fork", "forkserver")  # start methods


def interpreter_options() -> dict[str, str]:
    """Options of this interpreter as environment variables; loky hands on none of them.

    The worker's environment is made that of this process again before a node runs.
    """
    options = {
        "PYTHONUTF8": "1" if sys.flags.utf8_mode else "",
        "PYTHONWARNINGS": ",".join(sys.warnoptions),
        "PYTHONDEVMODE": "1" if sys.flags.dev_mode else "",
        "PYTHONOPTIMIZE": str(sys.flags.optimize or ""),
    }
    return {name: value for name, value in options.items() if value}


def why_no_workers(start_method: str) -> str | None:
    """Say why this process cannot start workers; ``None`` if it can.

    Args:
        start_method: How they would be started.
    """
    if multiprocessing.current_process().daemon:
        return "this process is itself a worker of a pool and may not start others"
    try:
        # loky checks how deep pools are nested; it starts nothing before the first call.
        ProcessPoolExecutor(1, context=multiprocessing.get_context(start_method)).shutdown()
    except LokyRecursionError as error:
        return f"this process is itself a worker and may not start others: {error}"
    return None


@contextlib.contextmanager
def starting(start_method: str) -> Iterator[None]:
    """The time in which a process is started.

    Args:
        start_method: How.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(main_module.not_imported())
        if start_method != "forkserver":  # which keeps what it is started with
            stack.enter_context(_no_interrupts())
        if start_method == "fork":
            # Python 3.12 and later warn of every fork while there are threads. The threads
            # here are loky's and wait; whoever chose "fork" knows of his own.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Let the new process hear of Ctrl-C when it knows what to do: it would print a traceback."""
    if sys.platform == "win32":
        yield
    else:
        former = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
