"""``prunner check`` on a real project, as a command of its own and as one of Kedro's."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from prunner.options import DEFAULT_START_METHOD
from tests.processes.projects import (
    LOGGING,
    PACKAGE,
    Done,
    Folder,
    make_folder,
    make_project,
    pipeline_files,
)

NODES = """
import threading

from orchard.trace import note


class Model:
    def __init__(self):
        self._lock = threading.Lock()


def run(*values):
    note("node")


def with_model(model):
    return lambda *values: run(model)


train = with_model(Model())
"""

PIPELINE = """Pipeline([
    node(run, ["raw", "params:options"], ["a", "b"], name="split"),
    node(run, "a", "c", name="left", tags=["quick"]),
    node(run, ["b", "stored"], "d", name="right", tags=["quick"]),
    node(train, ["c", "d"], "result", name="train"),
])"""

SETTINGS = """
from kedro.framework.hooks import hook_impl

from .trace import note


class Hooks:
    @hook_impl
    def after_context_created(self, context):
        note("hook", name="after_context_created")

    @hook_impl
    def after_catalog_created(self, catalog):
        note("hook", name="after_catalog_created")

    @hook_impl
    def before_pipeline_run(self):
        note("hook", name="before_pipeline_run")

    @hook_impl
    def before_dataset_loaded(self):
        note("hook", name="before_dataset_loaded")


HOOKS = (Hooks(),)
"""

CATALOG = """
raw:
  type: MemoryDataset
  data: [1, 2, 3]
stored:
  type: orchard.datasets.Noted
result:
  type: orchard.datasets.Noted
"""

DATASETS = """
from kedro.io import AbstractDataset

from .trace import note


class Noted(AbstractDataset):
    def load(self):
        note("load")

    def save(self, data):
        note("save")

    def _exists(self):
        note("exists")

    def _describe(self):
        return {}
"""

FILES = {
    **pipeline_files("train", NODES, PIPELINE),
    f"src/{PACKAGE}/settings.py": SETTINGS,
    f"src/{PACKAGE}/datasets.py": DATASETS,
    "conf/base/catalog.yml": CATALOG,
    "conf/base/parameters.yml": "options: {a: 1}\n",
    "conf/other/parameters.yml": "options: {a: 1, b: 2}\n",
}

QUIET = {"PYTHONWARNINGS": "ignore", "DO_NOT_TRACK": "1"}
PRUNNER = ("-m", "prunner")
KEDRO = ("-m", "kedro", "prunner")
AS_KEDROS = pytest.param(
    KEDRO,
    marks=pytest.mark.skipif(
        not [each for each in entry_points(group="kedro.project_commands", name="prunner")],
        reason="the installed prunner has no entry point of this name",
    ),
)


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    return make_project(tmp_path / "project", FILES)


def check(folder: Folder, *arguments: str, command: tuple[str, ...] = PRUNNER) -> Done:
    return folder.run(*command, "check", *arguments, **QUIET)


def checks(folder: Folder, *options: list[str]) -> list[Done]:
    """Check several times, in one process."""
    return folder.run_commands([["check", *each] for each in options], **QUIET)


def answer(done: Done) -> dict[str, object]:
    assert done.returncode == 0, done.output
    found: dict[str, object] = json.loads(done.stdout[done.stdout.index("{") :])
    return found


def names(done: Done) -> set[str]:
    return {each["name"] for each in answer(done)["nodes"]}  # type: ignore[attr-defined]


def snapshot(folder: Folder) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.root.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder.root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in files
        if path.suffix != ".pyc"
    }


@pytest.mark.parametrize("command", [PRUNNER, AS_KEDROS])
def test_report_of_a_project_and_nothing_runs(project: Folder, command: tuple[str, ...]) -> None:
    before = snapshot(project)
    done = check(project, "--max-workers", "4", command=command)

    assert done.returncode == 0, done.output
    assert done.stdout.endswith(
        "3 of 4 nodes would run in up to 2 workers, 1 in the main process.\n"
    )
    assert f"Workers     2 at most, start method '{DEFAULT_START_METHOD}'\n" in done.stdout
    assert "In workers (3)\n  split\n  left\n  right\n" in done.stdout
    assert "  train\n      the node cannot be pickled: TypeError: " in done.stdout
    assert "found at func.__closure__[0] -> Model._lock (_thread.lock)\n" in done.stdout
    assert "  c               made by 'left', to the main process\n" in done.stdout
    assert snapshot(project) == before
    (notes,) = project.notes().values()
    events = [note.get("name", note["event"]) for note in notes]
    hooks = ["after_context_created", "register_pipelines", "after_catalog_created"]
    assert [each for each in events if each != "settings"] == hooks


def test_json_is_alone_on_standard_output(project: Folder) -> None:
    project.write(f"src/{PACKAGE}/settings.py", SETTINGS + "\nprint('chatter {')\n")
    done = check(project, "--format", "json", "--max-workers", "1")
    found = json.loads(done.stdout)
    assert found["scope"] == {
        "project": PACKAGE,
        "pipelines": ["__default__"],
        "start_method": DEFAULT_START_METHOD,
        "max_workers": 1,
    }
    assert found["workers"] == 1
    sizes = {each["dataset"]: each["size"] for each in found["parcels"]}
    assert sizes.keys() == {"raw", "params:options", "a", "b", "c", "d"}
    assert sizes["raw"] > 0
    assert "chatter {" in done.stderr


def test_log_files_of_the_project_are_not_opened(project: Folder) -> None:
    project.write("conf/logging.yml", LOGGING)
    log = project.write("run.log", "of the last run\n")
    assert check(project).returncode == 0
    assert log.read_text(encoding="utf-8") == "of the last run\n"


def test_options_select_nodes(project: Folder) -> None:
    *found, bad = checks(
        project,
        *(
            ["--format", "json", *options]
            for options in (
                ["--pipeline", "train"],
                ["--pipelines", "train,__default__"],
                ["--to-nodes", "left"],
                ["--nodes", "split"],
                ["--tags", "quick", "--to-nodes", "left,right", "--from-nodes", "split"],
            )
        ),
    )
    everything = {"split", "left", "right", "train"}
    assert [names(done) for done in found] == [everything, everything, {"split", "left"}, {"split"}]
    # As the run would say: what "split" makes is an input of the nodes that are left.
    assert bad.returncode == 1
    assert "Pipeline input(s) {'" in bad.stderr


def test_configuration_is_that_of_the_run(project: Folder) -> None:
    def sizes(*options: list[str]) -> list[int]:
        ask = ["--format", "json", "--nodes", "split"]
        return [size_of_options(done) for done in checks(project, *([*ask, *o] for o in options))]

    usual, other, more = sizes([], ["--env", "other"], ["--params", f"options.more={'x' * 1000}"])
    assert other > usual
    assert more > usual + 900
    copied = project.root / "configuration"
    (project.root / "conf").rename(copied)
    assert sizes(["--conf-source", str(copied)]) == [usual]


def size_of_options(done: Done) -> int:
    parcels: list[dict[str, int]] = answer(done)["parcels"]  # type: ignore[assignment]
    return {str(each["dataset"]): each["size"] for each in parcels}["params:options"]


def test_works_in_a_folder_below_the_project(project: Folder) -> None:
    below = project.root / "notebooks"
    below.mkdir()
    done = check(Folder(below, project.trace), "--format", "json")
    assert len(names(done)) == 4


def test_namespaces_select_nodes(project: Folder) -> None:
    inner = 'Pipeline([node(run, "raw", "x", name="first")], namespace="one", inputs={"raw"})'
    other = 'Pipeline([node(run, "raw", "y", name="second")], namespace="two", inputs={"raw"})'
    for path, text in pipeline_files("train", NODES, f"{inner} + {other}").items():
        project.write(path, text)
    assert names(check(project, "--format", "json", "--namespaces", "one")) == {"one.first"}


# --- mistakes ---------------------------------------------------------------------------------


def error_of(done: Done, code: int = 1) -> str:
    assert done.returncode == code, done.output
    assert "Traceback" not in done.output
    return done.stderr.splitlines()[-1]


def test_no_project(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "empty")
    text = error_of(check(folder))
    assert text.startswith(f"Error: There is no Kedro project in {folder.root} or in a folder")


@pytest.mark.parametrize("command", [PRUNNER, AS_KEDROS])
def test_unknown_pipeline(project: Folder, command: tuple[str, ...]) -> None:
    text = error_of(check(project, "--pipeline", "trian", command=command))
    assert text == "Error: There is no pipeline 'trian'. Did you mean 'train'?"


def test_mistakes_in_options(project: Folder) -> None:
    unlike, node, two_ways, no_value = checks(
        project,
        ["--pipelines", "train,zzz"],
        ["--nodes", "nowhere"],
        ["--pipeline", "train", "--pipelines", "train"],
        ["--params", "a"],
    )
    text = "Error: There is no pipeline 'zzz'. There are '__default__', 'train'."
    assert error_of(unlike) == text
    assert "'nowhere'" in error_of(node)
    text = "Error: --pipeline and --pipelines cannot be used together."
    assert error_of(two_ways, code=2) == text
    assert "Item `a` must contain a key" in error_of(no_value, code=2)


def test_missing_catalog_entry_is_named(project: Folder) -> None:
    project.write("conf/base/catalog.yml", CATALOG.replace("raw:", "rwa:"))
    assert "Pipeline input(s) {'raw'} not found" in error_of(check(project))


def test_broken_catalog_entry_is_named(project: Folder) -> None:
    project.write("conf/base/catalog.yml", CATALOG.replace("orchard.datasets", "no.such"))
    text = error_of(check(project))
    assert "dataset 'stored'" in text or "dataset 'result'" in text


def test_module_that_cannot_be_imported_is_named(project: Folder) -> None:
    project.write(f"src/{PACKAGE}/pipelines/train/nodes.py", "import no_such_module\n")
    plain, of_one, verbose = checks(project, [], ["--pipeline", "train"], ["--verbose"])
    assert "No module named 'no_such_module'" in error_of(plain)
    assert "No module named 'no_such_module'" in error_of(of_one)
    assert "Traceback" in verbose.stderr


def test_kedro_imports_little_for_the_command() -> None:
    code = (
        "import sys, prunner.kedro_commands; print('kedro' in sys.modules, 'loky' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.stdout == "False False\n", done.stderr
