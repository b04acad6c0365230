"""Kedro projects, run by processes of their own on workers that have not got them."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import kedro
import pytest

from tests.cluster.processes import LIMIT
from tests.processes.projects import (
    LOGGING,
    PACKAGE,
    SETTINGS,
    TRACE,
    Folder,
    make_folder,
    make_project,
    pipeline_files,
)
from tests.processes.test_project import (
    CARRIED,
    FILES,
    LOOKS,
    NODES,
    log_lines,
    looks,
    parent_of,
)

pytestmark = pytest.mark.timeout(120)

KEDRO = tuple(int(part) for part in kedro.__version__.split(".")[:2])

# With SequentialRunner, or on the cluster at the address; then options as JSON.
RUN = """
import json
import sys
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner

import prunner

if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    address, options, run_options = sys.argv[1], *map(json.loads, sys.argv[2:])
    runner = SequentialRunner() if address == "none" else prunner.DaskRunner(address, **options)
    with KedroSession.create() as session:
        outputs = session.run(runner=runner, **run_options)
    print(json.dumps({name: dataset.load() for name, dataset in outputs.items()}))
"""


def made(root: Path, files: dict[str, str]) -> Folder:
    """A project whose trace is found by workers of every project."""
    trace = str(root.with_name(f"{root.name}-trace"))
    text = TRACE.replace('os.environ["TRACE"]', repr(trace))
    return make_project(root, {**files, f"src/{PACKAGE}/trace.py": text})


def run(project: Folder, address: str, options: str = "{}", run_options: str = "{}"):
    return project.run_script(RUN, address, options, run_options)


@pytest.fixture(scope="module")
def workers(shared):
    """Two worker processes, from folders of their own."""
    return {shared.worker(import_path=()).pid for _ in range(2)}


@pytest.fixture(scope="module")
def address(shared, workers):
    return shared.client(len(workers)).scheduler.address


INSPECTION_NODES = """
from kedro.framework import project
from orchard.trace import note


def look(weight):
    project.validate_settings()
    note(
        "look",
        package=project.PACKAGE_NAME,
        marker=project.settings.MARKER,
        pipelines=sorted(project.pipelines.keys()),
    )
    return weight
"""

# Workers elsewhere have the package, and not the rest of the project: no session there.
REMOTE = {**FILES, f"src/{PACKAGE}/pipelines/inspection/nodes.py": INSPECTION_NODES}


# --- the project is sent ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(address, tmp_path_factory):
    """The project after its default and its inspecting pipeline."""
    project = made(tmp_path_factory.mktemp("ran") / "project", REMOTE)
    if KEDRO < (1, 6):  # --runner-params came with it
        first = run(project, address)
    else:
        runner = ["--runner=prunner.DaskRunner", f"--runner-params=address={address}"]
        first = project.run("-m", "kedro", "run", *runner)
    assert first.returncode == 0, first.output
    lines = log_lines(project)
    second = run(project, address, "{}", '{"pipeline_name": "inspection"}')
    assert second.returncode == 0, second.output
    return project, lines


def test_workers_without_the_project_run_it(ran, workers):
    project, _ = ran

    done_by = project.notes("node")
    assert set(done_by) <= workers
    assert sum(map(len, done_by.values())) == NODES
    assert (project.root / "carried.txt").read_text(encoding="utf-8") == CARRIED


def test_project_is_configured_in_every_worker_before_its_first_node(ran, workers):
    project, _ = ran

    assert set(project.notes("settings")) == {*workers, *project.notes("before_pipeline_run")}
    for pid in project.notes("node"):
        notes = project.notes()[pid]
        assert notes[0]["event"] == "settings"
        assert {note["package"] for note in notes if "package" in note} == {PACKAGE}


def test_nodes_see_settings_and_pipelines(ran, workers):
    project, _ = ran

    found = list(looks(project))
    assert len(found) == LOOKS
    assert {note["marker"] for note in found} == {"from settings.py"}
    assert all("harvest" in note["pipelines"] for note in found)
    assert set(project.notes("look")) <= workers


def test_hooks_fire_in_the_client_on_the_instances_of_the_session(ran):
    project, _ = ran

    clients = set(project.notes("before_pipeline_run"))
    assert set(project.notes("before_node_run")) == clients
    assert set(project.notes("after_node_run")) == clients
    harvest = next(pid for pid in clients if len(project.notes("before_node_run")[pid]) > LOOKS)
    notes = project.notes()[harvest]
    names = {f"pluck{n}" for n in range(NODES)} | {"fill", "carry"}
    for name in names:
        own = [note["event"] for note in notes if note.get("node") == name]
        assert own == ["before_node_run", "after_node_run"]
    assert all(note["seen"] for note in notes if note["event"] == "after_node_run")
    assert notes[-1] == {"event": "after_pipeline_run", "nodes": len(names)}


def test_logs_of_nodes_reach_the_handlers_of_the_project(ran):
    _, lines = ran

    plucked = Counter(line for line in lines if "plucked" in line)
    name = "orchard.pipelines.harvest.nodes"
    assert plucked == Counter(f"INFO {name} plucked {n}" for n in range(NODES))


def test_results_are_those_of_one_process(ran, address, tmp_path):
    project, _ = ran
    alone = made(tmp_path / "alone", FILES)

    done = run(alone, "none")

    assert done.returncode == 0, done.output
    for folder in (project, alone):
        assert (folder.root / "carried.txt").read_text(encoding="utf-8") == CARRIED


def test_worker_that_may_not_get_the_project_is_named(address, tmp_path):
    project = made(tmp_path / "project", FILES)

    done = run(project, address, '{"upload_project": false}')

    assert done.returncode == 1
    assert not project.notes("node")
    assert not project.notes("before_node_run")
    error = done.stderr[done.stderr.rindex("prunner.errors.WorkerStartError") :]
    said, _, _ = error.partition("In the worker:")
    assert f"'{PACKAGE}'" in said
    assert socket.gethostname() in said
    assert said.count(platform.python_version()) == 2  # there and here
    assert "upload_project" in said


# --- versions of the source -------------------------------------------------------------------


def version(text: str, beside: str = "'apple'") -> dict[str, str]:
    """A project of one pipeline, whose node tells which version of it runs."""
    nodes = "import os\n\nimport fruit\n\n\ndef tell():\n"
    nodes += f"    return [{text!r}, fruit.NAME, os.getpid()]\n"
    return {
        **pipeline_files("telling", nodes, 'Pipeline([node(tell, None, "told", name="tell")])'),
        "src/fruit.py": f"NAME = {beside}\n",
        f"src/{PACKAGE}/hooks.py": "",
        "conf/logging.yml": LOGGING,
    }


def told(project: Folder, address: str, options: str = "{}"):
    done = run(project, address, options)
    return done.answer["told"]


def change(project: Folder, files: dict[str, str]) -> None:
    for name, text in files.items():
        project.write(name, text)


def test_source_that_was_edited_is_that_of_the_next_run(address, workers, tmp_path):
    project = made(tmp_path / "project", version("first"))
    found = [told(project, address)]
    change(project, version("second"))
    found.append(told(project, address))
    change(project, version("second", "'pear'"))  # the module beside the package
    found.append(told(project, address))
    change(project, version("first"))
    found.append(told(project, address))

    assert [each[:2] for each in found] == [
        ["first", "apple"],
        ["second", "apple"],
        ["second", "pear"],
        ["first", "apple"],
    ]
    assert {pid for *_, pid in found} <= workers
    assert not [line for line in log_lines(project) if line.startswith("WARNING")]


def test_other_version_on_a_worker_is_reported_and_replaced_where_that_is_asked_for(own, tmp_path):
    old = made(tmp_path / "old", version("old"))
    new = made(tmp_path / "new", version("new"))
    worker = own.worker(import_path=(old.root / "src",))
    address = own.client(1).scheduler.address

    assert told(new, address) == ["old", "apple", worker.pid]
    (warning,) = [line for line in log_lines(new) if "is not the same as here" in line]
    assert f"'{PACKAGE}'" in warning

    upload = '{"upload_project": true}'
    assert told(new, address, upload) == ["new", "apple", worker.pid]
    assert not [line for line in log_lines(new) if line.startswith("WARNING")]
    change(new, version("newest"))
    assert told(new, address, upload) == ["newest", "apple", worker.pid]
    assert told(new, address) == ["old", "apple", worker.pid]  # its own again
    assert [line for line in log_lines(new) if "is not the same as here" in line]


# --- two projects at once ---------------------------------------------------------------------

ROUNDS = 8


def fruit_project(package: str) -> dict[str, str]:
    """A project whose first node waits in the client until the other one runs, too."""
    nodes = f"""
import os
from multiprocessing.connection import Client

from kedro.framework import project


def meet(port):
    with Client(("localhost", port)) as connection:
        connection.send(("{package}", os.getpid()))
        connection.recv()
    return 0


def grow(number):
    return [project.PACKAGE_NAME, project.settings.MARKER, os.getpid()]
"""
    pipeline = f"""Pipeline(
        [node(meet, "params:port", "start", name="meet", tags="prunner.main")]
        + [node(grow, "start", f"grown{{n}}", name=f"grow{{n}}") for n in range({ROUNDS})]
    )"""
    files = {
        **pipeline_files("growing", nodes, pipeline),
        f"src/{PACKAGE}/settings.py": SETTINGS + f"MARKER = 'of {package}'\n",
    }
    return {
        name.replace(PACKAGE, package): text.replace(PACKAGE, package)
        for name, text in files.items()
    }


def of_package(root: Path, package: str, port: int) -> Folder:
    """A project of another name than the usual one."""
    folder = made(root / package, {})
    for path in sorted((folder.root / "src" / PACKAGE).rglob("*.py")):
        name = path.relative_to(folder.root).as_posix().replace(PACKAGE, package)
        folder.write(name, path.read_text("utf-8").replace(PACKAGE, package))
    for name, text in fruit_project(package).items():
        folder.write(name, text)
    text = (folder.root / "pyproject.toml").read_text("utf-8")
    folder.write("pyproject.toml", text.replace(PACKAGE, package))
    folder.write("conf/base/parameters.yml", f"port: {port}\n")
    folder.write("script.py", RUN)
    return folder


def test_two_projects_run_at_once_on_the_same_workers(address, workers, tmp_path, met):
    projects = [of_package(tmp_path, name, met.address[1]) for name in ("apples", "pears")]
    errors = [(each.root / "errors.txt").open("w") for each in projects]
    runs = [
        subprocess.Popen(
            [sys.executable, "script.py", address, "{}", "{}"],
            cwd=each.root,
            env=each.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            encoding="utf-8",
        )
        for each, file in zip(projects, errors, strict=True)
    ]
    try:
        guests = [met.next(), met.next()]
        for each in guests:
            each.go_on()
        outputs = [each.communicate(timeout=LIMIT)[0] for each in runs]
    finally:
        for each in runs:
            each.kill()
            each.communicate()
        for file in errors:
            file.close()

    for project, output in zip(projects, outputs, strict=True):
        assert output, (project.root / "errors.txt").read_text(encoding="utf-8")
        package, found = project.root.name, json.loads(output.splitlines()[-1])
        assert len(found) == ROUNDS
        assert {(name, marker) for name, marker, _ in found.values()} == {
            (package, f"of {package}")
        }
        assert {pid for *_, pid in found.values()} <= workers


# --- a cluster of the run's own ---------------------------------------------------------------


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_without_an_address_a_run_has_a_cluster_of_its_own(tmp_path):
    project = make_project(tmp_path / "project", FILES)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = below(project.root)

    done = project.run(
        *("-m", "kedro", "run", "--runner=prunner.DaskRunner"),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
    )

    assert done.returncode == 0, done.output
    assert "Port" not in done.output  # of Dask's HTTP server
    workers = set(project.notes("node"))
    assert parent_of(project) not in workers
    assert (project.root / "carried.txt").read_text(encoding="utf-8") == CARRIED
    assert not {pid for pid in project.notes() if is_alive(pid)}
    assert below(temporary) == set()
    new = {name for name in below(project.root) - before if "__pycache__" not in name}
    assert new == {"basket.txt", "carried.txt", "run.log"}


def is_alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


BARE = """
import json
import os

from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline

import prunner

print("once")


def pid():
    return os.getpid()


def beside(other):
    return [other, os.getpid(), __name__]


steps = pipeline([node(pid, None, "first"), node(beside, "first", "found")])
found = prunner.DaskRunner(max_workers=1).run(steps, DataCatalog())["found"].load()
print(json.dumps([os.getpid(), *found]))
"""


def test_script_needs_no_guard(tmp_path):
    folder = make_folder(tmp_path / "scripts")

    done = folder.run_script(BARE)

    here, first, second, name = done.answer
    assert first == second != here
    assert name == "__main__"
    assert done.stdout.count("once") == 1
    assert not is_alive(first)
