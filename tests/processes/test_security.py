"""Who can talk to whom, and who can read what."""

from __future__ import annotations

import os
import stat
import struct
import sys
import threading
from multiprocessing.connection import Listener
from typing import Any

import psutil
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import ParallelRunner, WorkerDied
from prunner.bridge.owners import base_folders
from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.failing_nodes import wait_for_the_end

POSIX = sys.platform != "win32"


def make() -> bytes:
    return bytes(1_000_000)


def wait_with(data: bytes, address: tuple[str, int]) -> int:
    return wait_for_the_end(address)


def babble(what: str) -> None:
    """Write into the pipe to the parent what is no message."""
    from prunner.processes import worker

    assert worker._worker is not None
    texts = {"text": b"this is no message", "pickle": b"prnr" + struct.pack("!Q4s", 4, b"junk")}
    os.write(worker._worker._link._connection.fileno(), texts[what])
    threading.Event().wait()


def own_files() -> list[str]:
    start = f"prunner-{os.getpid()}-"
    found = [os.path.join(base, n) for base in base_folders() for n in os.listdir(base)]
    tops = [path for path in found if os.path.basename(path).startswith(start)]
    inner = [os.path.join(top, n) for top in tops if os.path.isdir(top) for n in os.listdir(top)]
    return tops + inner


def test_nobody_can_connect_and_nobody_else_can_read(start_method):
    """While a run goes on, with data in files."""
    steps = [
        node(make, None, "data", name="make"),
        node(wait_with, ["data", "address"], "pid", name="wait"),
    ]
    seen: dict[str, Any] = {}

    def look() -> None:
        with listener.accept() as connection:
            worker = psutil.Process(connection.recv())
            here = psutil.Process()
            seen["ports"] = [
                each
                for process in (here, worker)
                for each in process.net_connections("all")
                if each.status == psutil.CONN_LISTEN and each not in before
            ]
            seen["modes"] = [
                (os.path.isdir(path), stat.S_IMODE(os.stat(path).st_mode)) for path in own_files()
            ]

    with Listener(("localhost", 0)) as listener:
        before = psutil.Process().net_connections("all")
        thread = threading.Thread(target=look)
        thread.start()
        catalog = DataCatalog({"address": MemoryDataset(listener.address)})
        ParallelRunner(1, start_method=start_method).run(pipeline(steps), catalog)
        thread.join()
    assert seen["ports"] == []
    assert {is_folder for is_folder, _ in seen["modes"]} == {True, False}
    if POSIX:
        assert set(seen["modes"]) == {(True, 0o700), (False, 0o600)}


@pytest.mark.skipif(not POSIX, reason="nobody writes into a pipe of Windows by its number")
@NEW_AND_COPIED
@pytest.mark.parametrize("what", ["text", "pickle"])
def test_what_cannot_be_understood_ends_the_worker_that_sends_it(what, start_method, caplog):
    steps = [node(babble, "what", "nothing", name="babbles")]
    catalog = DataCatalog({"what": MemoryDataset(what)})
    with pytest.raises(WorkerDied, match="node 'babbles'"):
        ParallelRunner(1, start_method=start_method).run(pipeline(steps), catalog)
    assert "sends what cannot be understood" in caplog.text
