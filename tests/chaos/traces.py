"""What is left of runs in this process and below it."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

import prunner
from tests.leftovers import children, files_of


def rest() -> None:
    """Let no worker wait for a next run."""
    prunner.stop_workers()
    gc.collect()  # pipes of executors that only a cycle keeps


@dataclass(frozen=True)
class Traces:
    """What there is at one moment.

    Attributes:
        processes: Below this one.
        threads: Of this process.
        files: Of runs and workers.
        descriptors: What is open, as far as the system tells; else how much.
    """

    processes: frozenset[psutil.Process]
    threads: frozenset[threading.Thread]
    files: frozenset[str]
    descriptors: tuple[str, ...]

    @classmethod
    def now(cls) -> Traces:
        return cls(
            frozenset(children()),
            frozenset(threading.enumerate()),
            frozenset(files_of(os.getpid())),
            tuple(_descriptors()),
        )

    def since(self, before: Traces) -> Iterator[str]:
        """What has come since then, but for descriptors."""
        for what in ("processes", "threads", "files"):
            left = getattr(self, what) - getattr(before, what)
            if left:
                yield f"{what} are left: {', '.join(map(str, left))}"

    def data_since(self, before: Traces) -> Iterator[str]:
        """Files that have come since then and are not those of workers that wait."""
        left = [path for path in self.files - before.files if not path.endswith(".crash")]
        if left:
            yield f"files are left: {left}"

    def descriptors_since(self, before: Traces) -> Iterator[str]:
        """The same for what is open."""
        if len(self.descriptors) > len(before.descriptors):
            new = sorted(set(self.descriptors) - set(before.descriptors))
            yield (
                f"{len(self.descriptors)} descriptors are open and not {len(before.descriptors)}, "
                f"among them {new}"
            )


def _descriptors() -> list[str]:
    if os.path.isdir("/proc/self/fd"):
        return list(map(_target, os.listdir("/proc/self/fd")))
    # What Windows counts, handles, comes and goes with the libraries of the system.
    return ["?"] * psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else []


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return "the list of these"
