"""Workers know their project: in project mode, packaged, and without any project."""

from __future__ import annotations

import functools
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kedro
import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import (
    BASIC_FILES,
    LOGGING,
    PACKAGE,
    SETTINGS,
    Folder,
    make_folder,
    make_project,
    pipeline_files,
)

NODES = 20
LOOKS = 6
KEDRO = tuple(int(part) for part in kedro.__version__.split(".")[:2])

HARVEST_NODES = """
import logging

from kedro.framework import project
from orchard.trace import note

note("nodes imported", package=project.PACKAGE_NAME)
logger = logging.getLogger(__name__)


def pluck(number):
    note("node", number=number, package=project.PACKAGE_NAME)
    logger.info("plucked %d", number)
    return number


def fill(*plucked):
    return " ".join(map(str, plucked))


def carry(text):
    return text.upper()
"""

HARVEST = f"""Pipeline(
        [
            node(lambda n=n: pluck(n), None, f"apple{{n}}", name=f"pluck{{n}}")
            for n in range({NODES})
        ]
        + [node(fill, [f"apple{{n}}" for n in range({NODES})], "basket", name="fill")]
        + [node(carry, "basket", "carried", name="carry")]
    )"""

INSPECTION_NODES = """
from kedro.framework import project
from kedro.framework.session import KedroSession
from orchard.trace import note


def look(weight):
    project.validate_settings()
    with KedroSession.create() as session:
        context = session.load_context()
        basket = type(context.catalog.get("basket")).__name__
        own_weight = context.params["weight"]
    note(
        "look",
        package=project.PACKAGE_NAME,
        marker=project.settings.MARKER,
        pipelines=sorted(project.pipelines.keys()),
        basket=basket,
        weight=own_weight,
    )
    return weight
"""

INSPECTION = f"""Pipeline(
        [node(look, "params:weight", f"look{{n}}", name=f"look{{n}}") for n in range({LOOKS})]
    )"""

REGISTRY = """
from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

from .trace import note


def register_pipelines():
    note("register_pipelines")
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = pipelines.get("harvest", Pipeline([]))
    return pipelines
"""

HOOKS = """
from kedro.framework import project
from kedro.framework.hooks import hook_impl

from .trace import note


class Recorder:
    def __init__(self):
        self.nodes = []

    @hook_impl
    def before_pipeline_run(self):
        note("before_pipeline_run", pipelines=sorted(project.pipelines.keys()))

    @hook_impl
    def before_node_run(self, node):
        note("before_node_run", node=node.name)
        self.nodes.append(node.name)

    @hook_impl
    def after_node_run(self, node):
        note("after_node_run", node=node.name, seen=node.name in self.nodes)

    @hook_impl
    def after_pipeline_run(self):
        note("after_pipeline_run", nodes=len(self.nodes))
"""

DATASETS = """
from pathlib import Path

from kedro.io import AbstractDataset


class TextDataset(AbstractDataset):
    def __init__(self, filepath):
        self.path = Path(filepath)

    def _load(self):
        return self.path.read_text(encoding="utf-8")

    def _save(self, data):
        self.path.write_text(data, encoding="utf-8")

    def _describe(self):
        return {"filepath": str(self.path)}
"""

CATALOG = """
basket:
  type: orchard.datasets.TextDataset
  filepath: basket.txt
carried:
  type: orchard.datasets.TextDataset
  filepath: carried.txt
"""

FILES = {
    **pipeline_files("harvest", HARVEST_NODES, HARVEST),
    **pipeline_files("inspection", INSPECTION_NODES, INSPECTION),
    **pipeline_files(
        "unused", "from orchard.trace import note\n\nnote('unused')\n", "Pipeline([])"
    ),
    f"src/{PACKAGE}/settings.py": SETTINGS
    + "from .hooks import Recorder\n\nMARKER = 'from settings.py'\nHOOKS = (Recorder(),)\n",
    f"src/{PACKAGE}/hooks.py": HOOKS,
    f"src/{PACKAGE}/datasets.py": DATASETS,
    f"src/{PACKAGE}/pipeline_registry.py": REGISTRY,
    "conf/base/catalog.yml": CATALOG,
    "conf/base/parameters.yml": "weight: 3\n",
    "conf/logging.yml": LOGGING,
}

CARRIED = " ".join(map(str, range(NODES)))

TWO_RUNS = """
import logging
import sys
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

import prunner


def run(**options):
    with KedroSession.create() as session:
        runner = prunner.ParallelRunner(2, start_method=sys.argv[1], idle_timeout=0)
        session.run(runner=runner, **options)


if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    logging.getLogger("orchard").info("before the run")
    run()
    run(pipeline_name="inspection")
"""

Run = Callable[[str], Folder]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The project after its default and its inspecting pipeline, once for each start method."""

    @functools.cache
    def run(start_method: str) -> Folder:
        project = make_project(tmp_path_factory.mktemp("ran") / "project", FILES)
        done = project.run_script(TWO_RUNS, start_method)
        assert done.returncode == 0, done.output
        assert "RecursionError" not in done.output
        return project

    return run


def parent_of(project: Folder) -> int:
    (pid,) = project.notes("before_pipeline_run")
    return pid


def log_lines(project: Folder) -> list[str]:
    return (project.root / "run.log").read_text(encoding="utf-8").splitlines()


def looks(project: Folder) -> Iterator[dict[str, Any]]:
    for notes in project.notes("look").values():
        yield from notes


# --- project mode -----------------------------------------------------------------------------


def test_every_worker_knows_the_package_before_it_imports_a_node(
    ran: Run, start_method: str
) -> None:
    project = ran(start_method)

    workers = project.notes("node")
    assert parent_of(project) not in workers
    assert 1 <= len(workers) <= 2
    numbers = [note["number"] for notes in workers.values() for note in notes]
    assert sorted(numbers) == list(range(NODES))
    for pid in workers:
        told = [note["package"] for note in project.notes()[pid] if "package" in note]
        assert set(told) == {PACKAGE}


def test_project_is_configured_once_for_each_worker(ran: Run, start_method: str) -> None:
    project = ran(start_method)

    for pid, notes in project.notes("look").items():
        events = [note["event"] for note in project.notes()[pid]]
        # A forked process has the imported settings module, but must configure them again: what
        # the parent has read from the pipeline registry is gone, and is read anew but once.
        forked = start_method == "fork"
        assert events.count("settings") == (0 if forked else 1)
        assert events.count("register_pipelines") == 1
        assert forked or events[0] == "settings"
        assert events.count("look") == len(notes)
    assert sum(1 for _ in looks(project)) == LOOKS


def test_nodes_see_settings_and_pipelines(ran: Run, start_method: str) -> None:
    project = ran(start_method)

    _, of_the_run = project.notes("before_pipeline_run")[parent_of(project)]
    assert {note["package"] for note in looks(project)} == {PACKAGE}
    assert {note["marker"] for note in looks(project)} == {"from settings.py"}
    assert "inspection" in of_the_run["pipelines"]
    assert all(note["pipelines"] == of_the_run["pipelines"] for note in looks(project))


def test_nodes_can_make_a_session_of_their_own(ran: Run, start_method: str) -> None:
    project = ran(start_method)

    assert {(note["basket"], note["weight"]) for note in looks(project)} == {("TextDataset", 3)}


def test_worker_imports_only_pipelines_of_its_nodes(ran: Run, start_method: str) -> None:
    project = ran(start_method)

    imported = {"unused", "register_pipelines"}
    assert imported <= {note["event"] for note in project.notes()[parent_of(project)]}
    for pid in project.notes("node"):
        assert not imported & {note["event"] for note in project.notes()[pid]}


def test_hooks_fire_on_the_instance_of_the_session(ran: Run, start_method: str) -> None:
    project = ran(start_method)
    parent = parent_of(project)

    nodes = {f"pluck{n}" for n in range(NODES)} | {"fill", "carry"}
    nodes |= {f"look{n}" for n in range(LOOKS)}
    for event in ("before_node_run", "after_node_run"):
        ((pid, notes),) = project.notes(event).items()
        assert pid == parent
        assert Counter(note["node"] for note in notes) == Counter(nodes)
    assert all(note["seen"] for note in project.notes("after_node_run")[parent])
    *_, end = project.notes("after_pipeline_run")[parent]
    assert end["nodes"] == len(nodes)


def test_log_file_is_not_truncated_and_has_each_line_once(ran: Run, start_method: str) -> None:
    lines = log_lines(ran(start_method))

    assert "INFO orchard before the run" in lines
    plucked = Counter(line for line in lines if "plucked" in line)
    name = "orchard.pipelines.harvest.nodes"
    assert plucked == Counter(f"INFO {name} plucked {n}" for n in range(NODES))


def test_datasets_of_the_project_are_saved_where_the_project_is(
    ran: Run, start_method: str
) -> None:
    project = ran(start_method)

    assert (project.root / "carried.txt").read_text(encoding="utf-8") == CARRIED


@NEW_AND_COPIED
@pytest.mark.skipif(KEDRO < (1, 6), reason="--runner-params came with Kedro 1.6")
def test_kedro_run_takes_runner_and_its_options(tmp_path: Path, start_method: str) -> None:
    project = make_project(tmp_path / "project", FILES)
    options = f"--runner-params=max_workers=2,start_method={start_method}"

    done = project.run("-m", "kedro", "run", "--runner=prunner.ParallelRunner", options)

    assert done.returncode == 0, done.output
    assert_harvested_by_workers(project)
    assert "INFO orchard.pipelines.harvest.nodes plucked 7" in log_lines(project)


def assert_harvested_by_workers(project: Folder) -> None:
    workers = project.notes("node")
    assert parent_of(project) not in workers
    assert 1 <= len(workers) <= 2
    assert sum(map(len, workers.values())) == NODES
    assert {note["package"] for notes in workers.values() for note in notes} == {PACKAGE}
    assert len(project.notes("before_node_run")[parent_of(project)]) == NODES + 2
    assert (project.root / "carried.txt").read_text(encoding="utf-8") == CARRIED


# --- packaged mode ----------------------------------------------------------------------------


def make_wheel(folder: Path) -> Path:
    """What a build of the project would make: its package, without pyproject.toml and conf."""
    files = {
        name.removeprefix("src/"): text
        for name, text in {**BASIC_FILES, **FILES}.items()
        if name.startswith("src/")
    }
    info = f"{PACKAGE}-0.1.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 0.1\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / f"{PACKAGE}-0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the project's wheel is installed."""
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("installed")
    wheel = make_wheel(folder)
    site = folder / "site"
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(site)]
    command = [sys.executable, "-m", "pip", "install", *options, str(wheel)]
    subprocess.run([*command, "--disable-pip-version-check"], check=True)
    return site


@NEW_AND_COPIED
def test_packaged_project_runs(tmp_path: Path, installed: Path, start_method: str) -> None:
    folder = make_folder(tmp_path / "anywhere", installed)
    folder.write("settled/base/catalog.yml", CATALOG)
    folder.write("settled/base/parameters.yml", "weight: 3\n")
    folder.write("settled/local/credentials.yml", "")

    done = folder.run(
        "-m",
        PACKAGE,
        "--runner=prunner.ParallelRunner",
        "--conf-source=settled",
        PRUNNER_START_METHOD=start_method,
    )

    assert done.returncode == 0, done.output
    assert_harvested_by_workers(folder)


# --- no project -------------------------------------------------------------------------------

BARE_SCRIPT = """
import json
import os
import sys

from kedro.framework import project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

import prunner


class Apple:
    def __init__(self, weight):
        self.weight = weight
        self.seen = project.PACKAGE_NAME, os.getpid()


def grow(weight):
    return Apple(weight)


def weigh(*apples):
    assert {type(apple) for apple in apples} == {Apple}
    return {
        "weight": sum(apple.weight for apple in apples),
        "packages": sorted({str(apple.seen[0]) for apple in apples}),
        "workers": len({apple.seen[1] for apple in apples} - {os.getppid()}),
    }


def main():
    with open("started.txt", "a") as file:
        file.write("started\\n")
    nodes = [node(grow, "weight", f"apple{n}", name=f"grow{n}") for n in range(10)]
    nodes += [
        node(lambda weight, n=n: Apple(weight + n), "weight", f"apple{n}", name=f"lambda{n}")
        for n in range(10, 20)
    ]
    nodes.append(node(weigh, [f"apple{n}" for n in range(20)], "total", name="weigh"))
    catalog = DataCatalog({"weight": MemoryDataset(1)})
    runner = prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1])
    total = runner.run(Pipeline(nodes), catalog)["total"]
    print(json.dumps(total.load()))


"""


def assert_weighed(folder: Folder, script: str, start_method: str) -> None:
    answer = folder.run_script(script, start_method).answer

    assert answer["weight"] == 20 + sum(range(10, 20))
    assert answer["packages"] == ["None"]
    assert 1 <= answer["workers"] <= 2
    assert (folder.root / "started.txt").read_text(encoding="utf-8") == "started\n"


@NEW_AND_COPIED
def test_script_without_project_runs(tmp_path: Path, start_method: str) -> None:
    script = BARE_SCRIPT + 'if __name__ == "__main__":\n    main()\n'

    assert_weighed(make_folder(tmp_path / "bare"), script, start_method)


def test_script_needs_no_guard(tmp_path: Path, start_method: str) -> None:
    assert_weighed(make_folder(tmp_path / "bare"), BARE_SCRIPT + "main()\n", start_method)


LATE_SCRIPT = """
import json
import os
import sys
from pathlib import Path

from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

import prunner


def look():
    import added_late

    return [os.getpid(), os.environ.get("LATE"), os.environ.get("EARLY"), added_late.COLOUR]


if __name__ == "__main__":
    if sys.argv[1] == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()
    os.environ["LATE"] = "set"
    del os.environ["EARLY"]
    sys.path.append(str(Path("more").resolve()))
    runner = prunner.ParallelRunner(max_workers=1, start_method=sys.argv[1])
    pipeline = Pipeline([node(look, None, "seen")])
    pid, *seen = runner.run(pipeline, DataCatalog())["seen"].load()
    assert pid != os.getpid()
    print(json.dumps(seen))
"""


def test_late_changes_of_environment_and_path_reach_workers(
    tmp_path: Path, start_method: str
) -> None:
    folder = make_folder(tmp_path / "late")
    folder.write("more/added_late.py", "COLOUR = 'red'\n")

    done = folder.run_script(LATE_SCRIPT, start_method, EARLY="set")

    assert done.answer == ["set", None, "red"]


OPTIONS = """
import json
import sys
import warnings

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from prunner import ParallelRunner


def options(_):
    import os

    try:
        warnings.warn("take care", stacklevel=1)
    except UserWarning:
        raised = True
    else:
        raised = False
    environment = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    return raised, sys.flags.optimize, sys.flags.utf8_mode, environment


runner = ParallelRunner(start_method=sys.argv[1])
catalog = DataCatalog({"a": MemoryDataset(1)})
there = runner.run(Pipeline([node(options, "a", "b")]), catalog)["b"].load()
print(json.dumps(list(there) == list(options(1)) and list(there)[:2]))
"""


def test_options_of_the_interpreter_reach_workers(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, start_method: str
) -> None:
    folder = make_folder(tmp_path / "folder")
    script = folder.write("script.py", OPTIONS)
    options = ("-O", "-W", "error:take care:UserWarning")
    # What is compiled with -O is nowhere yet: at least not each process compiles all of Kedro.
    compiled = {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.getbasetemp() / "compiled"),
    }
    done = folder.run(*options, str(script), start_method, **compiled)
    assert done.answer == [True, 1]
