"""Who is measured: the runners, each with its start method."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass

PRUNNER = "prunner"
KEDRO = "kedro"

_METHODS = ("fork", "spawn", "forkserver")
_KEDRO_NAMES = {
    PRUNNER: "prunner.ParallelRunner",
    KEDRO: "ParallelRunner",
    "sequential": "SequentialRunner",
    "thread": "ThreadRunner",
}


@dataclass(frozen=True)
class Subject:
    """A runner and the start method of its processes.

    Attributes:
        runner: ``prunner``, ``kedro`` (its ``ParallelRunner``), ``sequential`` or ``thread``.
        method: The start method; empty for runners without processes.
    """

    runner: str
    method: str = ""

    @property
    def name(self) -> str:
        """What the subject is called in the results."""
        return f"{self.runner} {self.method}".strip()

    @property
    def kedro_name(self) -> str:
        """The runner as the ``kedro`` command knows it."""
        return _KEDRO_NAMES[self.runner]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that choose the start method."""
        variable = {PRUNNER: "PRUNNER_START_METHOD", KEDRO: "KEDRO_MP_CONTEXT"}.get(self.runner)
        return {variable: self.method} if variable else {}

    @property
    def rival(self) -> str:
        """The subject of Kedro's ``ParallelRunner`` that one of prunner is compared with."""
        # Kedro's has no loky; like loky, spawn starts each worker from nothing.
        return f"{KEDRO} {'spawn' if self.method == 'loky' else self.method}"


def parse(name: str) -> Subject:
    """Turn the name of a subject back into the subject."""
    runner, _, method = name.partition(" ")
    return Subject(runner, method)


def all_subjects() -> tuple[Subject, ...]:
    """All that can be measured on this operating system."""
    here = [method for method in _METHODS if method in multiprocessing.get_all_start_methods()]
    return (
        Subject("sequential"),
        Subject("thread"),
        *(Subject(PRUNNER, method) for method in (*here, "loky")),
        *(Subject(KEDRO, method) for method in here),
    )
