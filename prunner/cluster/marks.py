"""In a worker with a nanny: a note of the steps that run, for the process that takes its place.

A process that is killed says nothing any more, and Dask blames each task that it had been given,
begun or not. The next process of the same nanny reads which ones had begun, and where native code
has crashed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from distributed import Worker

_MOST = 20_000  # characters
_SIZE = 1 << 16  # bytes: notes of some thousand threads


class Left(NamedTuple):
    """What the former process has left.

    Attributes:
        pid: Its process id.
        steps: The steps that ran there, each behind the token of its run.
        frames: What ran in Python when it crashed; empty if it was ended from outside.
    """

    pid: int
    steps: tuple[tuple[str, int], ...]
    frames: str


class Marks:
    """The notes of one process.

    Args:
        worker: Dask's.
    """

    def __init__(self, worker: Worker) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, tuple[str, int]] = {}  # by thread
        self._map: mmap.mmap | None = None
        self.left: Left | None = None
        self._paths: tuple[Path, ...] = ()
        self._crash: IO[str] | None = None
        if worker.nanny is None:
            return
        # The nanny is the parent of all processes that take the place of one another.
        folder = Path(worker.local_directory).parent
        notes = folder / f"prunner-{os.getppid()}.steps"
        crash = folder / f"prunner-{os.getppid()}.crash"
        self._paths = notes, crash
        with contextlib.suppress(OSError):
            self.left = _read(notes, crash)
            self._map = _mapped(notes)
            if not faulthandler.is_enabled():
                self._crash = crash.open("w", encoding="utf-8")
                faulthandler.enable(self._crash, all_threads=False)
        self._write()

    def begin(self, token: str, step: int) -> None:
        """This thread runs a step."""
        with self._lock:
            self._running[threading.get_ident()] = token, step
            self._write()

    def end(self) -> None:
        """This thread runs no step any more."""
        with self._lock:
            self._running.pop(threading.get_ident(), None)
            self._write()

    def remove(self) -> None:
        """Leave no files: nobody who comes after is to read them."""
        with self._lock:
            if self._crash is not None:
                faulthandler.disable()
                self._crash.close()  # Windows removes no file that is open
                self._crash = None
            if self._map is not None:
                self._map.close()
                self._map = None
        for path in self._paths:
            with contextlib.suppress(OSError):
                path.unlink()

    def _write(self) -> None:
        if self._map is None:
            return
        lines = [str(os.getpid()), *(f"{token} {step}" for token, step in self._running.values())]
        # A line alone ends what counts: what stood there before may have been longer.
        text = "\n".join([*lines, ".", ""]).encode()
        if len(text) <= _SIZE:
            self._map[: len(text)] = text


def _mapped(path: Path) -> mmap.mmap:
    """A file in memory: it is there when its process is not, and two notes for a step are quick."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600)
    try:
        os.ftruncate(descriptor, _SIZE)
        return mmap.mmap(descriptor, _SIZE)
    finally:
        os.close(descriptor)


def _read(notes: Path, crash: Path) -> Left | None:
    """What a former process has written, if there was one."""
    try:
        lines = notes.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if "." not in lines:
        return None
    pid, *steps = lines[: lines.index(".")]
    frames = ""
    with contextlib.suppress(OSError):
        frames = crash.read_text(encoding="utf-8", errors="replace")[:_MOST].strip()
    pairs = [line.split(" ") for line in steps]
    return Left(int(pid), tuple((token, int(step)) for token, step in pairs), frames)


_marks: dict[str, Marks] = {}  # by the worker's address: there may be several in a process


def leave_nothing(worker: Worker) -> None:
    """Remove the notes of a worker that takes part in no run any more."""
    marks = _marks.pop(worker.address, None)
    if marks is not None:
        marks.remove()


def marks_of(worker: Worker) -> Marks:
    """The notes of a worker."""
    if worker.address not in _marks:
        _marks[worker.address] = Marks(worker)
    return _marks[worker.address]
