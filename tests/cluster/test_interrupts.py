"""Ctrl-C in the middle of a run on a cluster that others use, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline

from prunner import DaskRunner
from tests.cluster import nodes
from tests.cluster.processes import (
    HOME,
    LIMIT,
    environment,
    plugins_of_runs,
    wait_until_nothing_is_held,
)

pytestmark = pytest.mark.timeout(120)

POSIX = sys.platform != "win32"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"] if POSIX else ["CTRL_BREAK_EVENT"])
def test_interrupt_ends_the_run_and_leaves_the_cluster_as_it_was(name, own, met, tmp_path):
    worker = own.worker()
    client = own.client(1)
    path = tmp_path / "number"
    host, port = met.address
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.cluster.interrupted"),
            *(client.scheduler.address, host, str(port), str(path)),
        ],
        cwd=tmp_path,
        env=environment(HOME),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    try:
        guest = met.next()
        os.kill(process.pid, getattr(signal, name))
        output, _ = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.communicate()

    assert guest.pid == worker.pid
    assert process.returncode != 0
    assert "interrupted" in output
    assert '--from-nodes "wait"' in output
    assert plugins_of_runs(client) == []

    guest.go_on()  # the node that still runs
    steps = pipeline([node(nodes.pid, None, "pid")])
    outputs = DaskRunner(client=client).run(steps, DataCatalog())
    assert outputs["pid"].load() == worker.pid  # once the other one has ended
    assert (tmp_path / "number-first").exists()
    assert not (tmp_path / "number-second").exists()
    wait_until_nothing_is_held(client)
