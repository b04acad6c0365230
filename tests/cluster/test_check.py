"""``prunner check`` of a project and a cluster: workers that are separate processes."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.processes.projects import PACKAGE, Done, Folder, make_project, pipeline_files

pytestmark = pytest.mark.timeout(120)

NODES = """
from orchard.trace import note


def run(*values):
    note("node")
"""
FILES = {
    **pipeline_files("train", NODES, 'Pipeline([node(run, "raw", "stored", name="train")])'),
    "conf/base/catalog.yml": "".join(
        f"{name}:\n  type: pickle.PickleDataset\n  filepath: data/{name}.pkl\n"
        for name in ("raw", "stored")
    ).replace("pickle.Pickle", "kedro_datasets.pickle.Pickle"),
}
LEMON = "import socket; socket.gethostname = lambda: 'lemon'\n"  # a worker's other host


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    return make_project(tmp_path / "project", FILES)


def check(folder: Folder, *arguments: str, **environment: str) -> Done:
    command = ("-m", "prunner", "check", *arguments)
    return folder.run(*command, PYTHONWARNINGS="ignore", DO_NOT_TRACK="1", **environment)


def failure_of(done: Done) -> str:
    assert done.returncode == 1, done.output
    assert "Traceback" not in done.output
    return done.stderr[done.stderr.index("Error: ") :]


def test_workers_are_looked_at_and_not_changed(project, own, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(project.root / "src" / PACKAGE, other / PACKAGE)
    (other / PACKAGE / "trace.py").write_text("note = print\n", "utf-8")
    (other / "sitecustomize.py").write_text(LEMON, "utf-8")
    own.worker(import_path=(project.root / "src",))
    own.worker("--nthreads", "2", import_path=(other,))
    own.worker("--nthreads", "3", import_path=())
    client = own.client(3)
    threads = {count: address for address, count in client.nthreads().items()}
    address = client.scheduler.address

    done = check(project, "--format", "json", "--address", address)

    assert done.returncode == 0, done.output
    found = json.loads(done.stdout)["cluster"]
    assert found["scheduler"] == address
    assert sorted(found["hosts"], key=lambda host: host["name"] == "lemon") == [
        {"name": socket.gethostname(), "workers": 2, "threads": 4},
        {"name": "lemon", "workers": 1, "threads": 2},
    ]
    assert found["differences"] == found["unseen"] == []
    assert (found["package"], found["sends_package"]) == (PACKAGE, True)
    assert found["without_package"] == [threads[3]]
    assert found["other_source"] == [threads[2]]
    assert not project.notes("node")
    loaded = client.run(eval, f"'{PACKAGE}' in __import__('sys').modules")
    assert set(loaded.values()) == {False}


@pytest.mark.parametrize(
    ("line", "said"), [("", "has no prunner"), ("Version: 0.0.1\n", "has prunner 0.0.1")]
)
def test_a_worker_without_this_prunner_is_an_error(project, own, tmp_path, line, said):
    metadata = tmp_path / "prunner-0.0.1.dist-info" / "METADATA"  # which Dask looks for
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: prunner\n{line}", "utf-8")
    own.worker(import_path=(tmp_path,))
    own.client(1)
    error = failure_of(check(project, "--scheduler-file", str(own.file)))
    assert error.startswith("Error: Worker tcp://127.0.0.1:")
    assert f" {said}, and this process has prunner " in error


def test_a_cluster_that_cannot_be_reached_is_an_error(project):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        limit: dict[str, Any] = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
        error = failure_of(check(project, "--address", address, **limit))
    assert error.startswith(f"Error: No Dask scheduler answers at {address}: ")


def test_the_environment_names_no_cluster_for_a_check(project):
    done = check(project, DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:1")
    assert done.returncode == 0, done.output
    assert "Dask" not in done.stdout


def test_only_one_cluster_can_be_named(project):
    done = check(project, "--address", "tcp://a:1", "--scheduler-file", "file")
    assert done.returncode == 2
    assert "--address and --scheduler-file cannot be used together" in done.stderr
