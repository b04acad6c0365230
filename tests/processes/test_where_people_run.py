"""A run started elsewhere than at a command line: in IPython, and on a thread of one's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import (
    LOGGING,
    PACKAGE,
    SETTINGS,
    Folder,
    make_project,
    pipeline_files,
)

pytestmark = NEW_AND_COPIED

NODES = """
import logging

from orchard.trace import note

logger = logging.getLogger(__name__)


def pick(weight):
    note("pick")
    logger.info("picked %d", weight)
    return weight * 10


def press(apple):
    note("press")
    return apple + 1
"""

PIPELINE = """Pipeline(
        [
            node(pick, "params:weight", "apple", name="pick"),
            node(press, "apple", "juice", name="press"),
        ]
    )"""

HOOKS = """
import threading

from kedro.framework.hooks import hook_impl

from .trace import note


class Recorder:
    @hook_impl
    def before_pipeline_run(self):
        self.note("before_pipeline_run")

    @hook_impl
    def before_node_run(self, node):
        self.note(f"before {node.name}")

    @hook_impl
    def after_dataset_saved(self, dataset_name):
        self.note(f"saved {dataset_name}")

    @hook_impl
    def after_pipeline_run(self):
        self.note("after_pipeline_run")

    def note(self, what):
        note("hook", what=what, thread=threading.current_thread().name)
"""

FILES = {
    **pipeline_files("fruit", NODES, PIPELINE),
    f"src/{PACKAGE}/settings.py": SETTINGS
    + "from .hooks import Recorder\n\nHOOKS = (Recorder(),)\n",
    f"src/{PACKAGE}/hooks.py": HOOKS,
    "conf/base/parameters.yml": "weight: 3\n",
    "conf/logging.yml": LOGGING,
}

IN_ORDER = [
    "before_pipeline_run",
    "before pick",
    "saved apple",
    "before press",
    "saved juice",
    "after_pipeline_run",
]


def assert_ran_as_usual(folder: Folder, thread: str) -> None:
    ((parent, hooks),) = folder.notes("hook").items()
    assert [hook["what"] for hook in hooks] == IN_ORDER
    assert {hook["thread"] for hook in hooks} == {thread}
    for name in ("pick", "press"):
        ((worker, notes),) = folder.notes(name).items()
        assert worker != parent
        assert len(notes) == 1
    lines = (folder.root / "run.log").read_text(encoding="utf-8").splitlines()
    assert lines.count(f"INFO {PACKAGE}.pipelines.fruit.nodes picked 3") == 1


THREAD = """
import json
import sys
import threading
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

import prunner

answer = {}


def run():
    with KedroSession.create() as session:
        runner = prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1])
        answer["juice"] = session.run(runner=runner)["juice"].load()


if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    thread = threading.Thread(target=run, name="of my own")
    thread.start()
    thread.join()
    print(json.dumps(answer))
"""


def test_a_session_on_another_thread(tmp_path: Path, start_method: str) -> None:
    project = make_project(tmp_path / "project", FILES)

    assert project.run_script(THREAD, start_method).answer == {"juice": 31}

    assert_ran_as_usual(project, "of my own")


IPYTHON = """
import json
import os
from kedro.io import MemoryDataset
from kedro.pipeline import Pipeline, node
from prunner import ParallelRunner

class Jar:
    def __init__(self, juice):
        self.juice = juice

def fill(jar, juice):
    assert type(jar) is Jar and os.getpid() != parent
    return Jar(juice)

parent = os.getpid()
runner = ParallelRunner(max_workers=1, start_method="METHOD")
juice = session.run(runner=runner)["juice"].load()
catalog["jar"] = MemoryDataset(Jar(0))
catalog["juice"] = MemoryDataset(juice)
filled = runner.run(Pipeline([node(fill, ["jar", "juice"], "filled")]), catalog)["filled"].load()
print(json.dumps({"juice": juice, "jar": type(filled) is Jar and filled.juice}))
"""


def test_kedro_ipython(tmp_path: Path, start_method: str) -> None:
    pytest.importorskip("IPython")
    project = make_project(tmp_path / "project", FILES)
    environment = {
        # "kedro ipython" looks for the command.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }

    code = IPYTHON.replace("METHOD", start_method)
    done = project.run("-m", "kedro", "ipython", "-c", code, **environment)

    assert done.answer == {"juice": 31, "jar": 31}
    assert_ran_as_usual(project, "MainThread")
