"""One measured process: timed and watched from outside, and ended if it takes too long."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

from benchmarks.memory import descendants, tree_bytes

# How long the processes of a tree may outlive its root before they count as left behind.
_GRACE = 3.0


@dataclass(frozen=True)
class Outcome:
    """How a process went.

    Attributes:
        status: ``ok``, ``failed`` or ``limit``.
        wall: Seconds from its start to its end.
        peak: The most bytes of memory that it and its descendants had at once.
        peak_of_processes: The same without files in memory that no process had mapped.
        left_behind: How many of its descendants outlived it and had to be ended.
        last_line: The last line of what it printed.
    """

    status: str
    wall: float
    peak: int
    peak_of_processes: int
    left_behind: int
    last_line: str


class TreeWatcher(threading.Thread):
    """Samples the memory of a tree of processes, and ends the tree when its time is up.

    Args:
        pid: The root of the tree.
        interval: Seconds between two samples.
        limit: Seconds that the tree may take.
    """

    def __init__(self, pid: int, interval: float, limit: float) -> None:
        super().__init__(name="tree-watcher", daemon=True)
        self._root = pid
        self._interval = interval
        self._deadline = perf_counter() + limit
        self._stopped = threading.Event()
        self._seen: dict[int, psutil.Process] = {}
        self.peak = 0
        self.peak_of_processes = 0
        self.exceeded = False

    def run(self) -> None:
        while not self._stopped.wait(self._interval):
            self._sample()
            if perf_counter() > self._deadline:
                self.exceeded = True
                self.end_all()
                return

    def _sample(self) -> None:
        for pid in (self._root, *descendants(self._root)):
            if pid not in self._seen:
                try:
                    self._seen[pid] = psutil.Process(pid)
                except psutil.Error:
                    continue
        # All that were seen, as some may have lost the parent through which they were found.
        found = tree_bytes(self._root, self._seen)
        self.peak = max(self.peak, found.with_files)
        self.peak_of_processes = max(self.peak_of_processes, found.processes)

    def stop(self) -> int:
        """Stop watching; end what has outlived the root.

        Returns:
            How many processes had to be ended.
        """
        self._stopped.set()
        self.join()
        remaining = self._end_remaining()
        return 0 if self.exceeded else remaining

    def end_all(self) -> None:
        """End the tree, but for the processes that clean up after it and then end themselves."""
        self._sample()
        for process in self._seen.values():
            if not cleans_up(process):
                kill(process)

    def _end_remaining(self) -> int:
        rest = [process for process in self._seen.values() if process.pid != self._root]
        alive = [process for process in psutil.wait_procs(rest, _GRACE)[1] if runs(process)]
        for process in alive:
            kill(process)
        return len(alive)


def runs(process: psutil.Process) -> bool:
    """True if a process has not ended."""
    try:
        # What nobody has waited for yet has ended all the same.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def cleans_up(process: psutil.Process) -> bool:
    """True for a process that cleans up after others and then ends itself."""
    try:
        return any("resource_tracker" in part for part in process.cmdline())
    except psutil.Error:
        return False


def kill(process: psutil.Process) -> None:
    """End a process if it is still there."""
    try:
        process.kill()
    except psutil.Error:
        pass  # has ended meanwhile, or is not ours to end


def run_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    limit: float,
    interval: float,
) -> Outcome:
    """Run a command to its end, or to the limit.

    Args:
        command: The command.
        environment: All of its environment variables.
        folder: Where it runs.
        limit: After how many seconds it is ended.
        interval: Seconds between two samples of its memory.

    Returns:
        How it went.
    """
    # A file, not a pipe: nobody has to read it while the process runs.
    with tempfile.TemporaryFile() as output:
        start = perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        watcher = TreeWatcher(process.pid, interval, limit)
        watcher.start()
        try:
            # Without a timeout, which would make it look only every 50 ms.
            process.wait()
            wall = perf_counter() - start
        except BaseException:
            watcher.end_all()
            process.wait()
            raise
        finally:
            left_behind = watcher.stop()
        output.seek(0)
        lines = output.read().decode("utf-8", errors="replace").strip().splitlines()
    status = "limit" if watcher.exceeded else "failed" if process.returncode else "ok"
    last_line = lines[-1].strip() if lines else ""
    return Outcome(status, wall, watcher.peak, watcher.peak_of_processes, left_behind, last_line)
