"""What workers log goes through the parent's own handlers, once."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
import warnings

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from prunner import ParallelRunner, WorkerDied
from prunner.bridge.logs import LogLevels
from tests.processes import log_nodes, nodes
from tests.processes.conftest import NEW_AND_COPIED, UNDER_ALL
from tests.processes.projects import make_folder

pytestmark = NEW_AND_COPIED

LINES = 200


@pytest.fixture
def logger():
    """The logger of the nodes' module, which goes to the handlers of the test alone."""
    yield from handled_alone("tests.processes.nodes")


@pytest.fixture
def other_logger():
    yield from handled_alone("tests.processes.log_nodes")


def handled_alone(name):
    logger = logging.getLogger(name)
    former = logger.level, list(logger.handlers), logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    for handler in list(logger.handlers):
        handler.close()
    logger.level, logger.handlers[:], logger.propagate = former
    logger.manager._clear_cache()  # type: ignore[attr-defined]


def run(start_method, *pipeline, **values):
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in values.items()})
    runner = ParallelRunner(max_workers=4, start_method=start_method)
    return runner.run(Pipeline(pipeline), catalog)


def test_a_file_that_rotates_has_each_record_once(start_method, logger, tmp_path):
    handler = logging.handlers.RotatingFileHandler(
        tmp_path / "nodes.log", maxBytes=1000, backupCount=10_000, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(message)s %(prunner_node)s %(prunner_worker)s"))
    logger.addHandler(handler)
    run(
        start_method,
        *(node(nodes.log_lines, "lines", f"out{i}", name=f"n{i}") for i in range(4)),
        lines=LINES,
    )
    handler.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) > 10
    found = [line.split() for path in files for line in path.read_text("utf-8").splitlines()]
    texts = [(number, name) for _, number, name, _ in found]
    assert sorted(texts) == sorted((str(i), f"n{k}") for i in range(LINES) for k in range(4))
    assert {int(worker) for *_, worker in found} <= set(range(4))


def test_what_was_sent_before_a_worker_died_is_there(start_method, logger):
    kept = logging.handlers.BufferingHandler(10**6)
    logger.addHandler(kept)
    with pytest.raises(WorkerDied, match="node 'n'"):
        run(start_method, node(nodes.log_lines_and_die, "lines", "out", name="n"), lines=LINES)
    assert [r.getMessage() for r in kept.buffer] == [f"line {i}" for i in range(LINES)]


def test_records_have_level_and_exception_and_what_is_silenced_is_not_there(start_method, logger):
    kept = logging.handlers.BufferingHandler(10**6)
    logger.addHandler(kept)
    logger.setLevel(logging.WARNING)
    run(start_method, node(nodes.log_levels, "a", "out", name="n"), a=1)
    assert [(r.levelname, r.getMessage(), r.funcName) for r in kept.buffer] == [
        ("WARNING", "careful", "log_levels"),
        ("ERROR", "it failed", "log_levels"),
    ]
    shown = logging.Formatter().format(kept.buffer[1])
    exc_info = kept.buffer[1].exc_info
    assert exc_info is not None and exc_info[0] is ZeroDivisionError
    assert (shown.count("in log_levels"), shown.count("1 // 0")) == (1, 1)


def test_messages_that_are_no_text_and_filters_of_modules(start_method, other_logger):
    kept = logging.handlers.BufferingHandler(10**6)
    other_logger.addHandler(kept)
    run(start_method, node(log_nodes.log_all_kinds, "a", "out", name="n"), a=1)
    first, second, third = kept.buffer
    assert first.msg == {"event": "trained", "scores": {1: 0.5}}
    assert second.getMessage() == "counts: {1: 5}"
    assert "lock" in second.__dict__["lock"]
    assert third.getMessage() == "seen once"


class Breaks(logging.Handler):
    def emit(self, record):
        raise ValueError("the handler is broken")


def test_a_handler_that_raises_does_not_end_the_run(start_method, logger, capsys):
    logger.addHandler(Breaks())
    out = run(start_method, node(nodes.log_lines, "lines", "out", name="n"), lines=3)
    assert out["out"].load() == 3
    assert capsys.readouterr().err.count("ValueError: the handler is broken") == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_processes_log_to_the_terminal_while_a_thread_logs(start_method, tmp_path):
    """In a process of its own: a fork server writes where it wrote when it was started."""
    done = make_folder(tmp_path / "folder").run_script(FORKING_SCRIPT, start_method)
    assert done.returncode == 0, done.output
    assert done.stdout.splitlines()[-1] == str([0] * FORKS)
    children = re.findall(r"^child (\d+)$", done.stderr, re.MULTILINE)
    assert children == [str(number) for number in range(FORKS)]


FORKS = 50
FORKING_SCRIPT = f"""
import logging
import sys

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from prunner import ParallelRunner
from tests.processes.log_nodes import fork_while_a_thread_logs

logger = logging.getLogger("tests.processes.log_nodes")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(logging.NullHandler())
runner = ParallelRunner(start_method=sys.argv[1])
catalog = DataCatalog({{"count": MemoryDataset({FORKS})}})
out = runner.run(Pipeline([node(fork_while_a_thread_logs, "count", "out")]), catalog)
print(out["out"].load())
"""


def test_warnings_go_to_the_log_where_the_parent_sends_them(start_method):
    logger, kept = logging.getLogger("py.warnings"), logging.handlers.BufferingHandler(10**6)
    logger.addHandler(kept)
    former = LogLevels.capture().warnings
    # Kedro has them captured, but pytest has put itself in between for the time of the test.
    logging.captureWarnings(False)
    logging.captureWarnings(True)
    try:
        run(start_method, node(nodes.warn, "a", "out", name="n"), a=1)
    finally:
        logging.captureWarnings(False)
        logging.captureWarnings(former)
        logger.removeHandler(kept)
    (record,) = (r for r in kept.buffer if "take care" in r.getMessage())
    assert record.__dict__["prunner_node"] == "n"


SCRIPT = """
import os
import sys

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from prunner import ParallelRunner
from tests.processes.nodes import say

runner = ParallelRunner(start_method=sys.argv[1])
runner.run(Pipeline([node(say, "a", "b")]), DataCatalog({"a": MemoryDataset("höre")}))
print("parent", os.getpid())
"""


@UNDER_ALL
def test_print_reaches_the_terminal(start_method, tmp_path):
    """A process of its own: a fork server prints where it printed when it was started."""
    done = make_folder(tmp_path / "folder").run_script(SCRIPT, start_method)
    assert done.returncode == 0, done.output
    (pid,) = re.findall(r"^höre from (\d+)", done.stdout, re.MULTILINE)
    assert f"parent {pid}" not in done.stdout.splitlines()
    assert done.stderr.splitlines()[-1] == "complaint"


def test_the_log_of_this_process_is_as_it_was(start_method):
    before = logging.root.level, list(logging.root.handlers), sys.stderr, warnings.showwarning
    run(start_method, node(nodes.identity, "a", "out"), a=1)
    after = logging.root.level, list(logging.root.handlers), sys.stderr, warnings.showwarning
    assert after == before
