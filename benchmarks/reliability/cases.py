"""What is measured: ways to fail and to be stopped. Pure."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.subjects import KEDRO, PRUNNER, Subject

WORKERS = 2


@dataclass(frozen=True)
class Case:
    """One way to fail or to be stopped.

    Attributes:
        name: What the case is called in the results.
        title: What happens, in words.
        probe: The module and the function that measures it.
        others: How many other nodes there are, each of which takes a known time.
        action: How the run is stopped.
        native: Whether nodes are in native code that holds the interpreter.
        anywhere: Whether it has a meaning on Windows, too.
    """

    name: str
    title: str
    probe: str
    others: int = 0
    action: str = ""
    native: bool = False
    anywhere: bool = True


_NATIVE = ", native code"
_ACTIONS = {
    "ctrl-c": "Ctrl-C",
    "sigterm": "SIGTERM to the parent only",
    "sigkill": "SIGKILL of the parent",
}

ALL = (
    Case("killed", "a worker is killed in the middle of a node", "failing:killed"),
    Case("killed-others", "a worker is killed while another node runs", "failing:killed", others=1),
    Case("raises", "a node raises", "failing:raises"),
    Case("raises-others", "a node raises while another one runs", "failing:raises", others=1),
    Case(
        "raises-waiting",
        "a node raises while another one runs, four more could start",
        "failing:raises",
        others=5,
    ),
    *(
        Case(
            f"{action}-native" if native else action,
            title + (_NATIVE if native else ""),
            "stopping:stopped",
            action=action,
            native=native,
            # A console's Ctrl-C cannot be sent to one group of processes there, and SIGTERM is
            # what a kill is.
            anywhere=action == "sigkill",
        )
        for action, title in _ACTIONS.items()
        for native in (False, True)
    ),
)


def left_out(platform: str = sys.platform) -> list[Case]:
    """The cases that have no meaning on a platform."""
    return [case for case in ALL if platform == "win32" and not case.anywhere]


def select(only: Iterable[str], platform: str = sys.platform) -> list[Case]:
    """Choose the cases to measure.

    Args:
        only: Names (``raises``) or beginnings of names (``ctrl``); empty for all.
        platform: Where they are measured.

    Returns:
        The cases, in the order in which they are measured.

    Raises:
        ValueError: If a name fits no case.
    """
    wanted = list(only)
    unknown = [name for name in wanted if not any(_fits(case, name) for case in ALL)]
    if unknown:
        known = ", ".join(case.name for case in ALL)
        raise ValueError(f"Unknown case: {', '.join(unknown)}. There are: {known}.")
    here = [case for case in ALL if case not in left_out(platform)]
    return [case for case in here if not wanted or any(_fits(case, name) for name in wanted)]


def _fits(case: Case, name: str) -> bool:
    # A whole name stands for that case only.
    return case.name == name if name in {each.name for each in ALL} else case.name.startswith(name)


def subjects(start_method: str, quick: bool) -> list[Subject]:
    """Choose the runners to measure.

    Args:
        start_method: prunner's.
        quick: Whether one of Kedro's is enough.
    """
    here = [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]
    kedro = [Subject(KEDRO, method) for method in (here[:1] if quick else here)]
    return [Subject(PRUNNER, start_method), *kedro]
