"""Bad input ends in one clear error: no hang, no process left, no node that need not have run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import kedro
import psutil
import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.pipeline.pipeline import CircularDependencyError
from kedro.runner import SequentialRunner

import prunner
from prunner import ParallelRunner
from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.nodes import fail, identity
from tests.processes.projects import PACKAGE, make_folder, make_project, pipeline_files

pytestmark = NEW_AND_COPIED

KEDRO = tuple(int(part) for part in kedro.__version__.split(".")[:2])


def leave_with_7(_: Any) -> None:
    os._exit(7)


def kill_oneself(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def make_lock(_: Any) -> Any:
    return threading.Lock()


class Model:
    def __init__(self) -> None:
        self._lock = threading.Lock()


def make_models(_: Any) -> Any:
    return {"first": Model()}


def touch(path: str) -> str:
    Path(path).touch()
    return path


def run_one(function: Any, start_method: str) -> None:
    """Run a node with this function behind another one."""
    pipeline = Pipeline(
        [
            node(identity, "given", "before", name="harmless"),
            node(function, "before", "after", name="guilty"),
        ]
    )
    catalog = DataCatalog({"given": MemoryDataset(1)})
    ParallelRunner(max_workers=2, start_method=start_method).run(pipeline, catalog)


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, -1, -100])
def test_max_workers_must_be_positive(number: int) -> None:
    with pytest.raises(prunner.OptionError, match=f"max_workers must be at least 1, not {number}"):
        ParallelRunner(max_workers=number)


@pytest.mark.parametrize("value", ["2", True, 1.5, [2]])
def test_max_workers_must_be_a_whole_number(value: Any) -> None:
    with pytest.raises(prunner.OptionError, match="max_workers must be a positive whole number"):
        ParallelRunner(max_workers=value)


@pytest.mark.parametrize("value", ["Spawn", "threads", "", 3])
def test_unknown_start_method_is_refused_and_the_known_ones_are_named(value: Any) -> None:
    with pytest.raises(prunner.OptionError, match="start_method must be one of ") as e:
        ParallelRunner(start_method=value)

    assert repr(value) in str(e.value)


def test_start_method_in_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNNER_START_METHOD", "threads")

    with pytest.raises(prunner.OptionError, match="PRUNNER_START_METHOD must be one of"):
        ParallelRunner()


class CountsProcesses:
    """A hook that counts the child processes that there are while a node runs."""

    def __init__(self) -> None:
        self.former = self.workers()
        self.found: set[psutil.Process] = set()

    @hook_impl
    def before_node_run(self) -> None:
        self.found |= self.workers() - self.former

    @staticmethod
    def workers() -> set[psutil.Process]:
        helpers = ("resource_tracker", "forkserver", "guard_main")
        children = psutil.Process().children()
        # A worker of a fork server has the command line of the server, but is no child of ours.
        workers = {p for p in children if not any(name in str(p.cmdline()) for name in helpers)}
        for child in set(children) - workers:
            workers.update(child.children())
        return workers


def test_no_more_processes_are_started_than_the_plan_can_use(start_method: str) -> None:
    nodes = [
        node(identity, source, target, name=target)
        for branch in "ab"
        for source, target in [("given", f"{branch}1"), (f"{branch}1", f"{branch}2")]
    ]
    hook = CountsProcesses()
    hooks = _create_hook_manager()
    hooks.register(hook)
    catalog = DataCatalog({"given": MemoryDataset(1)})

    ParallelRunner(max_workers=6, start_method=start_method).run(Pipeline(nodes), catalog, hooks)

    assert len(hook.found) == 2


# --- pipelines --------------------------------------------------------------------------------


def test_missing_input_is_named_before_any_node_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    pipeline = Pipeline(
        [
            node(touch, "path", "touched", name="harmless"),
            node(identity, "nowhere", "found", name="guilty"),
        ]
    )
    catalog = DataCatalog({"path": MemoryDataset(str(mark))})

    with pytest.raises(ValueError, match="nowhere"):
        ParallelRunner(max_workers=2).run(pipeline, catalog)

    assert not mark.exists()


def test_input_without_data_is_the_error_of_the_sequential_runner(start_method: str) -> None:
    pipeline = Pipeline([node(identity, "empty", "found", name="guilty")])
    with pytest.raises(DatasetError) as expected:
        SequentialRunner().run(pipeline, DataCatalog({"empty": MemoryDataset()}))

    with pytest.raises(DatasetError) as found:
        runner = ParallelRunner(max_workers=1, start_method=start_method)
        runner.run(pipeline, DataCatalog({"empty": MemoryDataset()}))

    assert str(found.value) == str(expected.value)


def test_cycle_is_refused_by_the_pipeline() -> None:
    nodes = [node(identity, "a", "b", name="there"), node(identity, "b", "a", name="back")]

    with pytest.raises(CircularDependencyError, match="there"):
        ParallelRunner(max_workers=2).run(Pipeline(nodes), DataCatalog())


# --- nodes ------------------------------------------------------------------------------------


def test_dead_worker_is_named_with_node_and_exit_code(start_method: str) -> None:
    with pytest.raises(
        prunner.WorkerDied, match=r"while it ran node 'guilty' \(exit code 7\)"
    ) as e:
        run_one(leave_with_7, start_method)

    assert (e.value.node, e.value.exitcode) == ("guilty", 7)
    assert e.value.pid not in (None, os.getpid())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals on Windows")
def test_killed_worker_is_named_with_node_and_signal(start_method: str) -> None:
    with pytest.raises(prunner.WorkerDied, match=r"node 'guilty' \(signal SIGKILL\)") as e:
        run_one(kill_oneself, start_method)

    assert (e.value.node, e.value.exitcode) == ("guilty", -signal.SIGKILL)


def test_error_of_a_node_has_its_type_and_the_traceback_of_the_worker(start_method: str) -> None:
    with pytest.raises(ValueError, match=r"(?m)^a node failed$") as e:
        run_one(fail, start_method)

    assert type(e.value) is ValueError
    assert e.value.__cause__ is None
    last = e.traceback[-1]
    assert (Path(last.path).name, last.name) == ("nodes.py", "fail")
    if sys.version_info >= (3, 11):
        assert e.value.__notes__[0].startswith(
            "Node 'guilty' failed while running, in worker process "
        )


def test_output_that_cannot_be_pickled_is_named(start_method: str) -> None:
    with pytest.raises(DatasetError, match=r"\bafter\b.*lock cannot be pickled") as e:
        run_one(make_lock, start_method)

    assert "prunner.main" in str(e.value)


def test_attribute_that_keeps_an_output_from_being_pickled_is_named(start_method: str) -> None:
    with pytest.raises(DatasetError, match=r"\bafter\b.*builtins\.dict cannot be pickled") as e:
        run_one(make_models, start_method)

    assert "found at dict['first'] -> Model._lock (_thread.lock)" in str(e.value)
    assert "prunner.main" in str(e.value)


# --- projects ---------------------------------------------------------------------------------

CATCH = """
import json
import os
import sys
import traceback
from pathlib import Path

import psutil

import prunner


def left_processes():
    kept = ("resource_tracker", "forkserver")
    children = psutil.Process().children()
    helpers = [p for p in children if any(name in str(p.cmdline()) for name in kept)]
    ours = [p for p in children if p not in helpers]
    return [str(p) for p in [*ours, *(c for p in helpers for c in p.children())]]


def catch(run):
    try:
        run()
    except Exception as error:
        kind = type(error)
        answer = {
            "type": f"{kind.__module__}.{kind.__qualname__}",
            "text": str(error),
            "traceback": traceback.format_exc(),
            "left": left_processes(),
        }
        print(json.dumps(answer))
    else:
        sys.exit("no error")
"""

RUN_SESSION = """
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project


def run():
    bootstrap_project(Path.cwd())
    os.environ["MAIN_PROCESS"] = str(os.getpid())
    with KedroSession.create() as session:
        session.run(runner=prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1]))


if __name__ == "__main__":
    catch(run)
"""

PICK = """
from orchard.trace import note


def pick(weight):
    note("node")
    return weight
"""

FILES = {
    **pipeline_files(
        "harvest",
        PICK,
        "Pipeline([node(pick, 'params:weight', f'apple{n}', name=f'pick{n}') for n in range(4)])",
    ),
    "conf/base/parameters.yml": "weight: 3\n",
}

# What differs between the main process and a worker: in a real project a locked file, a licence,
# a variable of one shell, a folder that was on the import path by chance.
RAISES_IN_WORKERS = """
import os

if os.environ.get("MAIN_PROCESS", str(os.getpid())) != str(os.getpid()):
    raise RuntimeError("the orchard is closed")
"""


@pytest.fixture
def new_process_method(start_method: str) -> str:
    if start_method == "fork":
        pytest.skip("a forked process has all that its parent has imported")
    return start_method


def test_settings_that_raise_in_a_worker_only(tmp_path: Path, new_process_method: str) -> None:
    files = {**FILES, f"src/{PACKAGE}/settings.py": RAISES_IN_WORKERS}
    project = make_project(tmp_path / "project", files)

    answer = project.run_script(CATCH + RUN_SESSION, new_process_method).answer

    assert answer["type"] == "prunner.errors.WorkerStartError"
    first, advice, *_ = answer["text"].splitlines()
    assert f"'{PACKAGE}'" in first
    assert first.endswith("RuntimeError: the orchard is closed")
    assert "settings.py" in advice
    assert f"{Path(PACKAGE, 'settings.py')}" in answer["text"]  # the worker's own traceback
    assert answer["left"] == []
    assert project.notes("node") == {}


def test_settings_that_raise_everywhere(tmp_path: Path) -> None:
    files = {**FILES, f"src/{PACKAGE}/settings.py": "raise RuntimeError('the orchard is closed')\n"}
    project = make_project(tmp_path / "project", files)

    answer = project.run_script(CATCH + RUN_SESSION, "loky").answer

    assert (answer["type"], answer["text"]) == ("builtins.RuntimeError", "the orchard is closed")
    assert answer["left"] == []
    assert project.notes("node") == {}


RUN_GHOST = """
import importlib

from kedro.framework.project import configure_project
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node


def work():
    Path("ran.txt").touch()
    return 1


def run():
    sys.path.insert(0, "hidden")
    importlib.import_module("ghost.settings")
    configure_project("ghost")
    sys.path.remove("hidden")
    runner = prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1])
    runner.run(Pipeline([node(work, None, "done", name="work")]), DataCatalog())


if __name__ == "__main__":
    catch(run)
"""


def test_package_that_a_worker_cannot_import(tmp_path: Path, new_process_method: str) -> None:
    folder = make_folder(tmp_path / "folder")
    folder.write("hidden/ghost/settings.py", "")

    answer = folder.run_script(CATCH + RUN_GHOST, new_process_method).answer

    assert answer["type"] == "prunner.errors.WorkerStartError"
    first, *more = answer["text"].splitlines()
    assert first == (
        "A worker process could not set up the project 'ghost': "
        "ModuleNotFoundError: No module named 'ghost'"
    )
    assert any("in restore" in line for line in more)  # the worker's own traceback
    assert answer["left"] == []
    assert not (folder.root / "ran.txt").exists()


RUN_CLASS = """
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project


def run():
    bootstrap_project(Path.cwd())
    with KedroSession.create() as session:
        session.run(runner=prunner.ParallelRunner)


if __name__ == "__main__":
    catch(run)
"""


def test_runner_class_instead_of_an_instance(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", FILES)

    answer = project.run_script(CATCH + RUN_CLASS).answer

    assert "instance of Runner instead of a class" in answer["text"]
    assert answer["left"] == []
    assert project.notes("node") == {}


@pytest.mark.skipif(KEDRO < (1, 6), reason="--runner-params came with Kedro 1.6")
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("max_workers=0", "max_workers must be at least 1, not 0"),
        ("start_method=threads", "start_method must be one of "),
    ],
)
def test_kedro_run_refuses_bad_options(tmp_path: Path, option: str, message: str) -> None:
    project = make_project(tmp_path / "project", FILES)
    options = ("--runner=prunner.ParallelRunner", f"--runner-params={option}")

    done = project.run("-m", "kedro", "run", *options, COLUMNS="500")

    assert done.returncode == 1, done.output
    assert message in done.output
    assert project.notes("node") == {}
