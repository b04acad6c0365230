"""What is to be seen on a real terminal while nodes, hooks and handlers write to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prunner.options import available_start_methods
from tests.processes.conftest import chosen_start_methods
from tests.processes.projects import Folder, make_folder, make_project, pipeline_files

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals that Python could make", allow_module_level=True)

from tests.processes.terminal import PseudoTerminal

NODES = r"""
import ctypes
import logging
import os
import sys
from pathlib import Path

LONG = "long " + "x" * 300 + " end"
logger = logging.getLogger("nodes")


def busy(raw, name):
    # In one piece: another process may write in between.
    print(f"{name} prints to {type(sys.stdout).__name__} {type(sys.stderr).__name__}")
    for i in range(20):
        print(f"{name} out {i}")
        print(f"{name} err {i}", file=sys.stderr)
        logger.info("%s log %d", name, i)
    print("half of a line of", name, end="")
    return raw


def strange(raw):
    print(LONG)
    print("[red]größe[/red] 日本語 \ud800")
    sys.stdout.write("several\nlines\nat once\n")
    assert sys.stdout.isatty() and sys.stdout.fileno() == 1
    sys.stdout.flush()
    sys.stdout.buffer.flush()
    return raw


def dies(raw):
    path = Path("died")
    print("it dies" if not path.exists() else "it lives")
    if not path.exists():
        path.touch()
        os._exit(3)
    return raw


def waits(raw):
    logger.info("waiting begins")
    os.read(os.open("pipe", os.O_RDWR), 1)
    print("waiting ends")
    return raw


def in_main(raw):
    print("half in main", end=" ")
    logger.info("log in main")
    print("and the other half")
    return raw
"""

SCRIPT = """
import logging
import sys
from functools import partial, update_wrapper

import kedro.framework.project
from kedro.framework.hooks import _create_hook_manager, hook_impl
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

import nodes
import prunner


class Hooks:
    @hook_impl
    def before_node_run(self, node):
        print("hook before", node.name)

    @hook_impl
    def after_node_run(self, node):
        logging.getLogger("hooks").info("hook after %s", node.name)
        if node.name == "waits":
            print("answer", input("sure? "))


def run(names, **options):
    hooks = _create_hook_manager()
    hooks.register(Hooks())
    made = {
        "waits": node(nodes.waits, "raw", "w", name="waits"),
        "dies": node(nodes.dies, "raw", "d", name="dies"),
        "strange": node(nodes.strange, "raw", "s", name="strange"),
        "main": node(nodes.in_main, "raw", "m", name="main", tags="prunner.main"),
        **{
            name: node(
                update_wrapper(partial(nodes.busy, name=name), nodes.busy), "raw", name, name=name
            )
            for name in ("a", "b", "late")
        },
    }
    runner = prunner.ParallelRunner(2, start_method=sys.argv[1], retries=1, **options)
    runner.run(Pipeline([made[name] for name in names]), DataCatalog({"raw": MemoryDataset(1)}),
               hook_manager=hooks)


if __name__ == "__main__":
    logging.getLogger("kedro").handlers.clear()
    handler = logging.StreamHandler()  # which keeps the stream of today
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    run(sys.argv[2].split(","), progress=True)
    print("between the runs")
    if len(sys.argv) > 3:
        run(sys.argv[3].split(","), progress=False)
    print("the end")
"""


def make_script(root: Path) -> Folder:
    folder = make_folder(root)
    folder.write("nodes.py", NODES)
    folder.write("script.py", SCRIPT)
    return folder


def start(folder: Folder, *arguments: str, **environment: str) -> PseudoTerminal:
    for name in ("CI", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "PRUNNER_PROGRESS"):
        environment.setdefault(name, "")
    kept = {name: value for name, value in folder.environment(**environment).items() if value}
    return PseudoTerminal([*arguments], folder.root, kept)


def is_shown(text: str) -> bool:
    return any("━" in line and " of " in line for line in text.splitlines())


@contextmanager
def gate(folder: Folder) -> Iterator[Callable[[], object]]:
    """What a node waits for, until it is called."""
    os.mkfifo(folder.root / "pipe")
    end = os.open(folder.root / "pipe", os.O_RDWR)  # for both, which waits for nobody
    try:
        yield lambda: os.write(end, b"!")
    finally:
        os.close(end)


def lines_of(name: str) -> list[str]:
    printed = [f"{name} {stream} {i}" for stream in ("out", "err") for i in range(20)]
    logged = [f"nodes: {name} log {i}" for i in range(20)]
    hooks = [f"hook before {name}", f"hooks: hook after {name}"]
    where = f"{name} prints to LineStream LineStream"
    return [*printed, *logged, *hooks, where, f"half of a line of {name}"]


@pytest.mark.parametrize(
    "method", [each for each in chosen_start_methods("loky", "fork") if each != "forkserver"]
)
def test_every_line_is_there_once_and_whole_and_nothing_of_the_display(tmp_path, method):
    assert method in available_start_methods()
    folder = make_script(tmp_path / "run")
    with gate(folder) as let_go:
        terminal = start(folder, "script.py", method, "waits,a,b,dies,strange,main", "late")
        terminal.wait_for(is_shown)
        let_go()
        terminal.wait_for(lambda text: "sure?" in text)
        terminal.type("yes\n")
        assert terminal.finish() == 0

    lines = terminal.text.splitlines()
    expected = [
        *lines_of("a"),
        *lines_of("b"),
        "waiting ends",
        "nodes: waiting begins",
        "sure? yes",
        "answer yes",
        "it dies",
        "it lives",
        "long " + "x" * 300 + " end",
        "[red]größe[/red] 日本語 \\ud800",
        "several",
        "lines",
        "at once",
        "half in main and the other half",
        "nodes: log in main",
        "between the runs",
        "the end",
    ]
    assert {line: lines.count(line) for line in expected} == dict.fromkeys(expected, 1)
    # The second run is not shown, and its worker writes to the terminal itself again.
    assert terminal.text.count("late prints to TextIOWrapper TextIOWrapper") == 1
    assert not is_shown(terminal.text)
    assert "Pipeline execution completed" in lines[lines.index("between the runs") - 1]
    in_order = [line for line in lines if line.startswith(("a out", "nodes: a log"))]
    assert in_order == [text for i in range(20) for text in (f"a out {i}", f"nodes: a log {i}")]
    assert terminal.is_sane
    # The display is written by relative movements alone, and the cursor is never hidden.
    assert b"\x1b[?25l" not in terminal.seen


def test_an_interrupt_leaves_the_terminal_as_it_was(tmp_path):
    folder = make_script(tmp_path / "run")
    with gate(folder):
        terminal = start(folder, "script.py", "loky", "waits,main")
        terminal.wait_for(lambda text: is_shown(text) and "waiting begins" in text)
        terminal.type("\x03")
        assert terminal.finish() != 0

    assert not is_shown(terminal.text)
    assert terminal.text.count("KeyboardInterrupt\n") == 1
    assert terminal.text.splitlines().count("half in main and the other half") == 1
    assert terminal.is_sane


def test_without_a_terminal_nothing_is_shown(tmp_path):
    folder = make_script(tmp_path / "run")
    done = folder.run("script.py", "loky", "a,main")
    assert done.returncode == 0, done.output
    assert "\x1b" not in done.output
    assert not is_shown(done.output)
    # Two processes write into the same pipe: one may come in between a line and its end.
    assert done.stdout.count("a out 19") == 1
    assert done.stderr.count("a err 19") == 1


PROJECT_NODES = """
import os


def waits(raw):
    print(":smile: [bold]printed[/bold]")
    if "WAIT" in os.environ:
        os.read(os.open("pipe", os.O_RDWR), 1)
    return raw


def after(done):
    return done
"""

PIPELINE = """Pipeline(
        [
            node(waits, "params:raw", "done", name="waits"),
            node(after, "done", "all", name="after"),
        ]
    )"""


@pytest.mark.parametrize("is_on", [True, False])
def test_kedro_run(tmp_path, is_on):
    folder = make_project(
        tmp_path / "project",
        {
            **pipeline_files("fruit", PROJECT_NODES, PIPELINE),
            "conf/base/parameters.yml": "raw: 1\n",
        },
    )
    runner = ["--runner=prunner.ParallelRunner", f"--runner-params=progress={str(is_on).lower()}"]
    with gate(folder) as let_go:
        terminal = start(folder, "-m", "kedro", "run", *runner, **({"WAIT": "1"} if is_on else {}))
        if is_on:
            terminal.wait_for(is_shown)
            let_go()
        assert terminal.finish() == 0, terminal.text

    assert is_shown(terminal.seen.decode()) == is_on
    assert not is_shown(terminal.text)
    # Without the display, another process may write before the end of the line.
    end = "\n" if is_on else ""
    assert terminal.text.count(f":smile: [bold]printed[/bold]{end}") == 1
    assert terminal.text.count("Completed node: waits") == 1
    assert terminal.text.count("Completed 2 out of 2 tasks") == 1
    assert terminal.is_sane
