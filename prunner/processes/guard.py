"""A small process that ends the workers if this process is killed.

A worker ends by itself when its parent does (``orders``), unless native code holds its interpreter.
And nobody would remove the files of a killed process at once. The guard does both. It waits for the
end of a pipe whose other end this process alone has, so that it learns of SIGKILL, too, on every
operating system.

At its beginning it removes what processes have left that were killed together with their guards.

Covers: when there is a guard, and what it is told. Does not cover: what it does (``guard_main``).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from multiprocessing import spawn
from pathlib import Path
from typing import IO

import psutil

import prunner
from prunner.bridge import link, owners
from prunner.bridge.forks import no_forks

_PATIENCE = 5.0  # seconds that it has to end
_MAIN = Path(__file__).with_name("guard_main.py")


class Guard:
    """The guard of this process: there is one as long as there are workers.

    ``no_forks`` is its lock: a worker forked while the guard is being started would hold a pipe of
    its start, whose end is waited for.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._watched: dict[int, str] = {}  # what it is told, by process id
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, pid: int | None, mark: str) -> None:
        """End this worker and what it has left behind if this process is killed.

        Args:
            pid: Its id.
            mark: What tells the processes that it has started (``tree.MARK``).
        """
        with no_forks, contextlib.suppress(OSError, psutil.Error):
            if self._pid != os.getpid():  # a fork of the process that has the guard
                self._pid, self._watched, self._process = os.getpid(), {}, None
            if pid is None:
                return
            self._watched[pid] = f"+{pid} {owners.owner_of(pid).created} {mark}"
            if self._process is not None and self._process.poll() is None:
                self._tell(self._watched[pid])
                return
            self._end()  # somebody has killed it
            self._process = _start()
            for line in self._watched.values():
                self._tell(line)

    def forget(self, pid: int | None) -> None:
        """This worker has ended; if it was the last one, the guard ends, too.

        Args:
            pid: Its id.
        """
        with no_forks:
            if pid is None or pid not in self._watched or self._pid != os.getpid():
                return
            del self._watched[pid]
            with contextlib.suppress(OSError):
                self._tell(f"-{pid}")
            if not self._watched:
                self._end()

    def _tell(self, line: str) -> None:
        if self._process is not None:
            _input_of(self._process).write(f"{line}\n".encode())

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            _input_of(process).close()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start() -> subprocess.Popen[bytes]:
    paths = [str(Path(module.__file__ or "").parents[1]) for module in (prunner, psutil)]
    arguments = [*map(str, owners.this_process()), *map("\n".join, (owners.base_folders(), paths))]
    process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of this package
        # Nothing of the environment or of site-packages: it starts in a tenth of the time.
        [os.fsdecode(spawn.get_executable()), "-I", "-S", str(_MAIN), *arguments],
        stdin=subprocess.PIPE,
        bufsize=0,
        # Not in the group that a terminal interrupts, or that is ended as a whole.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    link.keep_from_children(_input_of(process))
    return process


def _input_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


guard = Guard()
