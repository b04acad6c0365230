"""What is seen of memory, and nodes that wait for it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from multiprocessing.connection import Client, Listener

import psutil
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import OptionError, ParallelRunner, history
from prunner.bridge.messages import MemorySeen
from prunner.processes.usage import UsageWatch
from tests.processes.conftest import NEW_AND_COPIED

pytestmark = NEW_AND_COPIED

MB = 1_000_000
TAKES_MEMORY = """
import sys
print("begin", flush=True)
for line in sys.stdin:
    data = b"1" * int(line)
    print("done", flush=True)
"""


def test_peaks_are_those_of_each_worker():
    seen: list[MemorySeen] = []
    process = subprocess.Popen(
        [sys.executable, "-c", TAKES_MEMORY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    watch = UsageWatch(seen.append)
    try:
        assert seen[0].used == {}
        process.stdout.readline()
        watch.add(3, process.pid)
        watch.look()
        before = seen[-1].used[3]
        for size in (200 * MB, 1):
            process.stdin.write(f"{size}\n")
            process.stdin.flush()
            process.stdout.readline()
            watch.look()
        process.communicate()
        watch.look()
    finally:
        watch.stop()
    total = psutil.virtual_memory().total
    assert all(0 < each.free < each.total <= total for each in seen)
    assert any(each.used.get(3, 0) - before >= 190 * MB for each in seen)
    assert 3 not in seen[-1].used
    peak = watch.of(3).peak
    assert peak is not None
    assert 200 * MB < peak < 400 * MB
    assert watch.of(4).peak is None


def meet(path, address, number):
    """Note begin and end, and wait in between until somebody has waited for memory."""
    for word in ("begin", "end"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{word} {number}\n")
        if word == "begin":
            with Client(address) as connection:
                connection.recv()
    return number


class Gate(logging.Handler):
    """Lets nodes go on when the log has said something."""

    def __init__(self, text):
        super().__init__()
        self.listener = Listener(("localhost", 0))
        self.said = []
        self._text, self._is_open = text, threading.Event()
        self._count = 6
        self._thread = threading.Thread(target=self._let_through)

    def emit(self, record):
        if self._text in record.getMessage():
            self.said.append(record.getMessage())
            self._is_open.set()

    def _let_through(self):
        for _ in range(self._count):
            with self.listener.accept() as connection:
                self._is_open.wait()
                connection.send("go on")

    def __enter__(self):
        logging.getLogger("kedro.runner.prunner").addHandler(self)
        self._thread.start()
        return self

    def __exit__(self, *_):
        logging.getLogger("kedro.runner.prunner").removeHandler(self)
        self._is_open.set()
        self._thread.join()
        self.listener.close()


@pytest.fixture
def run(tmp_path, start_method):
    """Run nodes each of which has needed more than there is, and tell what the log has said."""

    def run(text, **options):
        with Gate(text) as gate:
            names = [f"i{i}" for i in range(6)]
            steps = pipeline([node(meet, ["path", "address", i], f"o{i}", name=i) for i in names])
            needs = dict.fromkeys(range(6), 10**15)
            history.note(history.keys_of(steps.nodes), dict.fromkeys(range(6), 1.0), needs)
            catalog = DataCatalog({name: MemoryDataset(name) for name in names})
            catalog["path"] = MemoryDataset(str(tmp_path / "marks"))
            catalog["address"] = MemoryDataset(gate.listener.address)
            ParallelRunner(2, start_method=start_method, **options).run(steps, catalog)
        return gate.said, (tmp_path / "marks").read_text(encoding="utf-8").split()

    yield run
    history.forget()


def test_nodes_for_which_there_is_no_memory_run_one_after_the_other(run):
    said, marks = run("waits for memory")
    assert "it has needed 1,000,000,000 MB, and " in said[0]
    assert marks[::4] == ["begin"] * 6
    assert marks[1::4] == marks[3::4]


def test_it_may_only_be_said(run):
    said, marks = run("would have waited for memory", memory_mode="log")
    assert said
    assert sorted(marks[1::2]) == sorted(2 * [f"i{i}" for i in range(6)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"memory_limit": 0}, "memory_limit must be a number of bytes"),
        ({"memory_limit": 5}, "memory_limit must be a number of bytes (1,000,000 or more)"),
        ({"memory_limit": "1 GB"}, "not '1 GB'"),
        ({"memory_limit": True}, "not True"),
        ({"memory_limit": float("nan")}, "not nan"),
        ({"memory_limit": float("inf")}, "not inf"),
        ({"memory_mode": "maybe"}, "memory_mode must be one of 'hold', 'log', 'off', not 'maybe'"),
        ({"memory_mode": None}, "not None"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(options, words):
    with pytest.raises(OptionError) as found:
        ParallelRunner(max_workers=1, **options)
    assert words in str(found.value)
