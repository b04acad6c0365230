"""Runs of real projects are on record, whatever becomes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prunner.sessions.archive import Archive
from prunner.sessions.records import Outcome
from prunner.sessions.rows import KnownNode
from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import LIMIT, PACKAGE, make_project

SETTINGS = """
from prunner.sessions import SQLiteSessionStore

SESSION_STORE_CLASS = SQLiteSessionStore
SESSION_STORE_ARGS = {"environment": ["FRUIT_*"]}
"""

NODES = """
import time
from multiprocessing.connection import Client
from pathlib import Path


def make(n):
    return b"x" * n


def write(data):
    return {"bytes": len(data)}


def read(found):
    return found["bytes"]


def fails_once(n):
    mark = Path("mark")
    if not mark.exists():
        mark.touch()
        raise ValueError("the first time")
    return n


def fails(n):
    raise ValueError("never mind hunter2-Geheim")


def after(data):
    return data


def waits(n):
    print("ready", flush=True)
    time.sleep(600)


def short(n):
    return n


def long(n):
    time.sleep(0.2)
    return n


def meet(address):
    with Client(address) as connection:
        return connection.recv()
"""

REGISTRY = f"""
from kedro.pipeline import Pipeline, node

from {PACKAGE} import nodes


def register_pipelines():
    def make(name, inputs, outputs, **more):
        return node(getattr(nodes, name), inputs, outputs, name=name, **more)

    first = make("make", "params:n", "data")
    return {{
        "__default__": Pipeline([
            first,
            make("write", "data", "found"),
            make("read", "found", "n", tags=["prunner.main"]),
            make("fails_once", "params:n", "again"),
        ]),
        "failing": Pipeline([first, make("fails", "data", "x"), make("after", "x", "y")]),
        "waiting": Pipeline([first, make("waits", "data", "never")]),
        "meeting": Pipeline([
            node(nodes.meet, "params:address", f"met{{i}}", name=f"meet{{i}}") for i in range(2)
        ]),
        "order": Pipeline([make("short", "params:n", "a"), make("long", "params:n", "b")]),
    }}
"""

LOGGING_TO_FILE = """
version: 1
disable_existing_loggers: false
formatters: {plain: {format: "%(levelname)s %(message)s"}}
handlers:
  file: {class: logging.FileHandler, filename: run.log, formatter: plain, encoding: utf-8}
root: {handlers: [file], level: INFO}
"""

FILES = {
    "conf/logging.yml": LOGGING_TO_FILE,
    "conf/base/parameters.yml": "n: 100000\n",
    "conf/base/catalog.yml": "found: {type: json.JSONDataset, filepath: found.json}\n",
    f"src/{PACKAGE}/nodes.py": NODES,
    f"src/{PACKAGE}/pipeline_registry.py": REGISTRY,
    f"src/{PACKAGE}/settings.py": SETTINGS,
}

HEAD = """
import json
import os
import sys
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner

import prunner

bootstrap_project(Path.cwd())


def run(*names, runner=None, params=None, save=True, **options):
    runner = runner or prunner.ParallelRunner(max_workers=2, **options)
    with KedroSession.create(save_on_close=save, runtime_params=params) as session:
        session.run(pipeline_names=list(names) or None, runner=runner)
    return session.session_id
"""


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project", FILES)


def archive_of(project):
    return Archive(project.root / "sessions" / "sessions.db")


def run(project, code, *arguments, **environment):
    done = project.run_script(HEAD + code, *arguments, **environment)
    assert done.returncode == 0, done.output
    return done


def log_of(project):
    return (project.root / "run.log").read_text(encoding="utf-8")


@NEW_AND_COPIED
def test_what_became_of_each_node_is_on_record(project, start_method):
    code = "run(retries=1, node_options={'fails_once': {'retry_on': 'ValueError'}})"
    run(project, code, PRUNNER_START_METHOD=start_method, FRUIT_KIND="apple", OTHER="x")
    (entry,) = archive_of(project).entries()
    found = archive_of(project).find(entry.key).run
    assert (found.outcome, found.start_method, found.runner) == (
        Outcome.COMPLETED,
        start_method,
        "prunner.ParallelRunner",
    )
    assert found.options == {
        "max_workers": 2,
        "retries": 1,
        "node_options": {"fails_once": {"retry_on": "ValueError"}},
    }
    variables = entry.session.data["environment"]
    assert variables["FRUIT_KIND"] == "apple"
    assert variables["PRUNNER_START_METHOD"] == start_method
    assert "OTHER" not in variables
    nodes = {node.name: node for node in found.nodes}
    assert list(nodes) == [n.name for n in sorted(found.nodes, key=lambda n: n.step)]
    for node in found.nodes:
        assert node.outcome is Outcome.COMPLETED
        assert found.started <= node.queued <= node.started <= node.ended <= found.ended
        assert all(node.started <= t.began <= node.ended for t in (*node.loads, *node.saves))
        assert 0 <= node.load_seconds + node.run_seconds + node.save_seconds <= node.seconds
        assert node.function == f"{PACKAGE}.nodes.{node.name}"
    make, write, read = nodes["make"], nodes["write"], nodes["read"]
    assert (make.parents, write.parents) == ((), (make.step,))
    assert [t.dataset for t in make.loads] == ["params:n"]
    assert 100_000 <= make.bytes_out == write.bytes_in <= 100_200
    assert write.bytes_out == read.bytes_in == os.stat(project.root / "found.json").st_size
    assert (read.worker, read.pid, "prunner.main" in read.pinned) == (-1, found.pid, True)
    assert make.pid == found.pids[make.worker] != found.pid
    (first_try,) = nodes["fails_once"].tries
    assert first_try.error == "ValueError: the first time"
    assert first_try.started <= first_try.ended <= nodes["fails_once"].started


FAIL = """
for runner in (None, SequentialRunner()):
    try:
        run("failing", runner=runner, params={"db": {"password": "hunter2-Geheim"}})
    except ValueError as error:
        print(error)
"""


def test_a_failure_is_on_record_without_secrets(project):
    assert run(project, FAIL).stdout.count("hunter2-Geheim") == 2
    of_sequential, of_prunner = archive_of(project).entries()
    for entry in (of_sequential, of_prunner):
        assert (entry.outcome, entry.session.outcome) == (Outcome.FAILED, Outcome.FAILED)
        assert entry.run.error["type"] == entry.session.data["exception"]["type"] == "ValueError"
        assert entry.run.error["value"] == "never mind ***"
        assert entry.run.parameters["runtime_params"] == {"db": {"password": "***"}}
        found = archive_of(project).find(entry.key).run
        assert "in fails" in found.error["traceback"]
    nodes = archive_of(project).find(of_prunner.key).run.nodes
    outcomes = [Outcome.COMPLETED, Outcome.FAILED, Outcome.NOT_RUN]
    assert [node.outcome for node in nodes] == outcomes
    assert nodes[1].error == "ValueError: never mind ***"
    assert of_prunner.run.resume == {"from_nodes": ["make"]}
    found = archive_of(project).find(of_sequential.key).run
    assert (found.runner, found.nodes) == ("kedro.runner.SequentialRunner", ())
    for file in (project.root / "sessions").iterdir():
        assert b"Geheim" not in file.read_bytes()


WAIT = """
runner = SequentialRunner() if sys.argv[1] == "sequential" else None
run("waiting", runner=runner)
"""


def start_waiting(project, kind):
    """A run in the middle of a node that would take very long."""
    script = project.write("script.py", HEAD + WAIT)
    process = subprocess.Popen(
        [sys.executable, str(script), kind],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert process.stdout is not None
    said = []
    while "ready\n" not in said:
        said.append(process.stdout.readline())
        assert said[-1], f"it has ended: {said}"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="a console is needed to send Ctrl-C there")
@pytest.mark.parametrize("kind", ["prunner", "sequential"])
def test_an_interrupted_run_is_on_record(project, kind):
    process = start_waiting(project, kind)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    (entry,) = archive_of(project).entries()
    assert (entry.outcome, entry.session.outcome) == (Outcome.INTERRUPTED, Outcome.INTERRUPTED)
    assert entry.session.data["exception"]["type"] == "KeyboardInterrupt"
    if kind == "prunner":
        nodes = archive_of(project).find(entry.key).run.nodes
        assert [node.outcome for node in nodes] == [Outcome.COMPLETED, Outcome.NOT_RUN]


def test_a_killed_run_is_on_record_as_lost(project):
    process = start_waiting(project, "prunner")
    assert archive_of(project).entries()[0].outcome is Outcome.RUNNING
    process.kill()
    process.communicate()
    (entry,) = archive_of(project).entries()
    assert (entry.outcome, entry.run.ended) == (Outcome.LOST, None)
    assert entry.run.parameters["pipeline_names"] == ["waiting"]


def test_what_is_on_record_decides_what_comes_first(project):
    assert order_of_next(project) == ["long", "short"]  # as in the alphabet
    archive = archive_of(project)
    nodes = archive.find(archive.entries()[0].key).run.nodes
    (known,) = archive.known(PACKAGE, [("long", nodes[0].source)]).values()
    assert known.seconds >= 0.2
    # Another process, and the other way round.
    pretend(archive, nodes, {"short": KnownNode(9.0, None), "long": KnownNode(0.001, None)})
    assert order_of_next(project) == ["short", "long"]


def pretend(archive, nodes, known):
    from prunner.sessions.database import opened

    with opened(archive.file, to_write=True) as connection:
        for node in nodes:
            connection.execute(
                "UPDATE known SET seconds = ?, need = ? WHERE name = ?",
                (*known[node.name], node.name),
            )


def order_of_next(project):
    run(project, "run('order', runner=prunner.ParallelRunner(max_workers=1))")
    archive = archive_of(project)
    return by_start(archive.find(archive.entries()[0].key).run.nodes)


def by_start(nodes):
    return [node.name for node in sorted(nodes, key=lambda node: node.started)]


# Two workers have certainly begun when two nodes have met.
BOTH_READY = """
import threading
from multiprocessing.connection import Listener

listener = Listener()


def let_them_meet():
    waiting = [listener.accept() for _ in range(2)]
    for connection in waiting:
        connection.send("met")


threading.Thread(target=let_them_meet).start()
run("meeting", params={"address": listener.address})
"""


def test_needs_on_record_hold_nodes_back(project):
    run(project, "run('order')")
    archive = archive_of(project)
    nodes = archive.find(archive.entries()[0].key).run.nodes
    pretend(archive, nodes, dict.fromkeys(("short", "long"), KnownNode(1.0, 10**15)))
    run(project, BOTH_READY + "run('order')")
    assert "waits for memory: it has needed 1,000,000,000 MB" in log_of(project)


SESSIONS = """
from kedro.framework.session import KedroSession as Base


class Mine(Base):
    pass


ids = [run("order"), run("order", runner=SequentialRunner())]
run("order", save=False)
with KedroSession.create() as nothing:
    nothing.load_context()
ids.append(nothing.session_id)
with Mine.create() as mine:
    mine.run(pipeline_names=["order"], runner=prunner.ParallelRunner(max_workers=1))
ids.append(mine.session_id)
for number in range(2):
    same = Base("the same", project_path=Path.cwd(), save_on_close=True)
    same._store.update(session_id="the same", project_path=Path.cwd(), runtime_params={"n": number})
    same.run(pipeline_names=["order"], runner=SequentialRunner())
    same.close()
print(json.dumps(ids))
"""


def test_every_session_is_on_record_unless_it_is_not_to_be_saved(project):
    ids = run(project, SESSIONS).answer
    entries = archive_of(project).entries()
    assert [each.key for each in reversed(entries)] == [*ids, "the same", "the same~2"]
    assert [each.run is None for each in reversed(entries)] == [False, False, True, *[False] * 3]
    assert {each.outcome for each in entries} == {Outcome.COMPLETED}
    params = [each.run.parameters["runtime_params"]["n"] for each in entries[:2]]
    assert params == [1, 0]


TROUBLE = """
from prunner.sessions.database import opened

place = Path("sessions")
place.write_text("no folder", encoding="utf-8")
run("order")
place.unlink()
run("order")
file = place / "sessions.db"
with opened(file, to_write=True) as connection:
    connection.execute("PRAGMA user_version = 99")
run("order")
for each in place.iterdir():
    each.unlink()
file.write_bytes(b"no database, but text" * 500)
run("order")
assert file.read_bytes() == b"no database, but text" * 500
file.unlink()
run("order", params={"at": Path("x"), "data": b"\\xff", "inf": float("inf"), "none": None})
"""


def test_no_run_fails_because_its_record_cannot_be_written(project):
    run(project, TROUBLE)
    said = log_of(project)
    for problem in ("cannot be used", "written by a newer version", "is damaged"):
        assert said.count(problem) == 1, said
    assert "Traceback" not in said
    (entry,) = archive_of(project).entries()
    expected = {"at": Path("x"), "data": b"\xff", "inf": float("inf"), "none": None}
    assert entry.run.parameters["runtime_params"] == expected


NO_SQLITE = """
import sys
sys.modules["sqlite3"] = None
"""


def test_no_run_fails_where_python_has_no_sqlite(project):
    done = project.run_script(NO_SQLITE + HEAD + "run('order')\nrun('order', save=False)")
    assert done.returncode == 0, done.output
    assert log_of(project).count("this Python has no sqlite3") == 1
    assert "Traceback" not in log_of(project)


ODD = """
from kedro.io import DataCatalog
from prunner.sessions.archive import Archive
from prunner.sessions.hooks import hooks


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Small:
    __slots__ = ()  # no weak reference


class Weird(dict):
    def items(self):
        raise Silent


def begun(catalog, run_id, **more):
    hooks.before_pipeline_run({"run_id": run_id, "project_path": str(Path.cwd()), **more}, catalog)
    return catalog


hooks.on_pipeline_error(Silent(), begun(DataCatalog(), "silent"))
hooks.after_pipeline_run(begun(Small(), "small"))
hooks.after_pipeline_run(begun(DataCatalog(), "weird", runtime_params=Weird(a=1)))

end, calls = Archive.end, []


def interrupted(*arguments):
    calls.append(arguments)
    if len(calls) == 1:
        raise KeyboardInterrupt
    end(*arguments)


Archive.end = interrupted
catalog = begun(DataCatalog(), "twice")
try:
    hooks.on_pipeline_error(ValueError("x"), catalog)
except KeyboardInterrupt:
    del catalog
"""


COLLECTED = """
import gc, threading
from kedro.io import DataCatalog
from prunner.sessions import rows
from prunner.sessions.hooks import hooks


def begun(run_id):
    catalog = DataCatalog()
    catalog.itself = catalog
    hooks.before_pipeline_run({"run_id": run_id, "project_path": str(Path.cwd())}, catalog)
    return catalog


gc.disable()
begun("first")
put_run = rows.put_run
rows.put_run = lambda *arguments: (gc.collect(), put_run(*arguments))
hooks.after_pipeline_run(begun("second"))
"""


def test_a_record_that_ends_within_another_one_does_not_wait_for_itself(project):
    run(project, COLLECTED)
    assert not (project.root / "run.log").exists() or "not on record" not in log_of(project)
    outcomes = {entry.key: str(entry.outcome) for entry in archive_of(project).entries()}
    assert outcomes == {"first": "interrupted", "second": "completed"}


def test_whatever_is_odd_about_a_run_its_end_is_on_record(project):
    run(project, ODD)
    assert "not on record. TypeError: cannot create weak reference" in log_of(project)
    runs = {entry.key: entry.run for entry in archive_of(project).entries()}
    assert {key: str(run.outcome) for key, run in runs.items()} == {
        "silent": "failed",
        "weird": "completed",
        "twice": "interrupted",
    }
    assert runs["silent"].error["value"] == "(whose text cannot be made: RuntimeError)"


FULL = """
import resource, signal
run("order", runner=SequentialRunner())
size = os.stat("sessions/sessions.db").st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
run("order", runner=SequentialRunner(), params={"text": "x" * 90_000})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit for the size of files there")
def test_a_full_disk_is_a_warning(project):
    run(project, FULL)
    assert "Is there room" in log_of(project)
    (entry,) = archive_of(project).entries()  # the first one is as it was
    assert entry.outcome is Outcome.COMPLETED


def test_no_secret_of_command_parameters_or_environment_is_in_the_file(project):
    done = project.run(
        "-m",
        "kedro",
        "run",
        "--pipeline=order",
        "--runner=prunner.ParallelRunner",
        "--params=api_token=Geheim-1 x,n=4,url=https://me:Geheim-2@host/x",
        FRUIT_PASSWORD="Geheim-3-é",
        FRUIT_URL="https://me:Geheim-4@host/",
        KEDRO_SECRET_KEY="Geheim-5",
    )
    assert done.returncode == 0, done.output
    (entry,) = archive_of(project).entries()
    assert entry.run.parameters["runtime_params"] == {
        "api_token": "***",
        "n": 4,
        "url": "https://me:***@host/x",
    }
    assert entry.session.data["cli"]["params"]["params"] == entry.run.parameters["runtime_params"]
    assert entry.session.data["environment"]["KEDRO_SECRET_KEY"] == "***"
    text = json.dumps(entry.session.data["cli"], default=str)
    for file in (project.root / "sessions").iterdir():
        assert b"Geheim" not in file.read_bytes(), text
    assert Path(project.root / "sessions" / "sessions.db").stat().st_size > 1000
