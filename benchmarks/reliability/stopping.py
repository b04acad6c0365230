"""Probe of stopping: starts a script that runs a pipeline, stops it, and looks what remains."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.memory import descendants
from benchmarks.process import cleans_up, kill, runs
from benchmarks.reliability import marks
from benchmarks.reliability.child import Answer, Request
from benchmarks.reliability.script import MARKS

ENDED = "until the prompt is back, s"
GONE = "until all workers are gone, s"
LEFT = "processes 2 s later"
FILES = "files 2 s later"

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (looked at, nothing is put there)
_AFTERWARDS = 2.0  # seconds
_PAUSE = 0.005  # between two looks
_SETTLED = 0.5  # seconds that nodes have run before they are stopped


def stopped(request: Request) -> Answer:
    """Measure from the signal to the end of the script, and of all that it has started."""
    # A short path: the sockets of a multiprocessing.Manager lie below it.
    with tempfile.TemporaryDirectory(prefix="r-", ignore_cleanup_errors=True) as folder:
        script = _start(request, Path(folder))
        workers: list[psutil.Process] = []
        try:
            workers = _workers_of(script, folder)
            start = time.monotonic()
            _send(request.action, script)
            return _watch(request, script, workers, start, Path(folder, "tmp"))
        finally:
            for process in workers:
                kill(process)
            script.kill()
            script.wait()
            for place in _in_shared_memory(script.pid):
                _remove(place)


def _start(request: Request, folder: Path) -> subprocess.Popen[bytes]:
    temporary, kind = folder / "tmp", "native" if request.native else "sleep"
    temporary.mkdir()
    names = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    with Path(folder, "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.reliability.script", folder, request.runner, kind],
            env={**os.environ, **names},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # as a shell does for what it runs in the foreground
        )


def _workers_of(script: subprocess.Popen[bytes], folder: str) -> list[psutil.Process]:
    """Wait until the nodes run, and list all processes that are to end with the script."""
    try:
        found = marks.wait_for(folder, MARKS, len(MARKS))
    except AssertionError as error:
        output = Path(folder, "output").read_text(encoding="utf-8", errors="replace")
        raise AssertionError(f"{error}: {output.strip()[-500:]}") from error
    time.sleep(_SETTLED)
    pids = {mark.pid for mark in found} | set(descendants(script.pid))
    # Trackers clean up after the others, and end by themselves.
    processes = [psutil.Process(pid) for pid in sorted(pids) if psutil.pid_exists(pid)]
    return [each for each in processes if runs(each) and not cleans_up(each)]


def _send(action: str, script: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        assert action == "sigkill"
        script.kill()
    elif action == "ctrl-c":
        os.killpg(script.pid, signal.SIGINT)
    else:
        script.send_signal({"sigterm": signal.SIGTERM, "sigkill": signal.SIGKILL}[action])


def _watch(
    request: Request,
    script: subprocess.Popen[bytes],
    workers: list[psutil.Process],
    start: float,
    temporary: Path,
) -> Answer:
    checks: dict[str, Callable[[], bool]] = {
        ENDED: lambda: script.poll() is not None,
        GONE: lambda: not any(map(runs, workers)),
    }
    # What is not over by then has that time as its figure, and the table says "more than".
    figures = dict.fromkeys(checks, request.patience)
    while checks and (now := time.monotonic() - start) < request.patience:
        for name in [name for name, is_so in checks.items() if is_so()]:
            figures[name] = now
            del checks[name]
        time.sleep(_PAUSE)
    if request.action == "sigkill":
        del figures[ENDED]
    time.sleep(_AFTERWARDS)
    figures[LEFT] = sum(map(runs, workers))
    figures[FILES] = len(_files(temporary, script.pid))
    return Answer(figures)


def _files(temporary: Path, pid: int) -> list[Path]:
    """What the script has left: in its own folder for temporary files, and in shared memory."""
    places = [temporary, *_in_shared_memory(pid)]
    found = [each for place in places for each in (place, *place.rglob("*"))]
    return [each for each in found if not each.is_dir()]


def _in_shared_memory(pid: int) -> list[Path]:
    return list(_SHARED_MEMORY.glob(f"*-{pid}-*"))


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
