"""``kedro run`` has a worker set up the project while it loads what a run needs itself."""

from __future__ import annotations

from pathlib import Path

import kedro
import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import PACKAGE, Folder, make_project, pipeline_files

KEDRO = tuple(int(part) for part in kedro.__version__.split(".")[:2])
pytestmark = [
    NEW_AND_COPIED,
    pytest.mark.skipif(KEDRO < (1, 6), reason="--runner-params came with Kedro 1.6"),
]

NODES = """
import os

from orchard.trace import note

note("nodes imported")


def pick(weight):
    note("node", late=os.environ.get("LATE"))
"""

HOOKS = """
import os

import psutil
from kedro.framework.hooks import hook_impl

from .trace import note


class Watcher:
    @hook_impl
    def after_context_created(self):
        note("context", below=[each.pid for each in psutil.Process().children(recursive=True)])
        if "SET_LATE" in os.environ:
            os.environ["LATE"] = "set"
"""

SETTINGS = """
from orchard.hooks import Watcher

HOOKS = (Watcher(),)
"""

OTHER_NODES = """
from orchard.trace import note

note("others imported")


def stay(weight):
    return weight
"""


def pipeline(function: str, name: str) -> dict[str, str]:
    nodes = OTHER_NODES if name == "other" else NODES
    output = '"kept"' if name == "other" else "None"
    return pipeline_files(name, nodes, f'Pipeline([node({function}, "params:weight", {output})])')


def kedro_run(tmp_path: Path, start_method: str, *options: str, **environment: str) -> Folder:
    project = make_project(
        tmp_path / "project",
        {
            "conf/base/parameters.yml": "weight: 3\n",
            f"src/{PACKAGE}/settings.py": SETTINGS,
            f"src/{PACKAGE}/hooks.py": HOOKS,
            **pipeline("pick", "picking"),
            **pipeline("stay", "other"),
        },
    )
    params = f"--runner-params=max_workers=1,start_method={start_method}"
    command = ["-m", "kedro", "run", "--runner=prunner.ParallelRunner", params, *options]
    done = project.run(*command, **environment)
    assert done.returncode == 0, done.output
    return project


def worker_of(project: Folder) -> tuple[int, list[int]]:
    """The process that ran the node, and those that were there when the context was made."""
    (pid,) = project.notes("node")
    ((context,),) = project.notes("context").values()
    return pid, context["below"]


def test_a_worker_is_there_before_the_context(tmp_path: Path, start_method: str) -> None:
    if start_method == "fork":
        pytest.skip("a copy of the process as it is later is made later")
    project = kedro_run(tmp_path, start_method, "--pipelines=picking")

    worker, below = worker_of(project)
    assert worker in below
    assert {note["event"] for note in project.notes()[worker]} == {"nodes imported", "node"}


def test_what_a_hook_changes_reaches_the_worker(tmp_path: Path, start_method: str) -> None:
    project = kedro_run(tmp_path, start_method, "--pipelines=picking", SET_LATE="1")

    worker, below = worker_of(project)
    assert worker not in below
    assert project.notes("node")[worker][0]["late"] == "set"


def test_all_pipelines_are_imported_where_all_will_run(tmp_path: Path) -> None:
    project = kedro_run(tmp_path, "loky")

    worker, below = worker_of(project)
    assert worker in below
    events = [note["event"] for note in project.notes()[worker]]
    assert events.index("others imported") < events.index("node")


SCRIPT = """
import json

import psutil

import prunner

runner = prunner.ParallelRunner()
print(json.dumps(len(psutil.Process().children())))
"""


def test_a_runner_that_is_made_elsewhere_starts_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", {})
    assert project.run_script(SCRIPT).answer == 0
