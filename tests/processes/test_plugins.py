"""The plugins that people use, installed and active, do with prunner what they do without.

kedro-telemetry comes with Kedro; the others are in the extra ``plugins``. kedro-pandera is not
among them: its releases so far take no Kedro from 1.0 on, which calls no hook with ``session_id``.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kedro
import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import (
    LOGGING,
    PACKAGE,
    RUN_WITH,
    SETTINGS,
    Done,
    Folder,
    make_project,
    pipeline_files,
)

KEDRO = tuple(int(part) for part in kedro.__version__.split(".")[:2])
SEQUENTIAL = "sequential"

# A run that mlflow tracks imports it three times over and makes its data base.
pytestmark = [NEW_AND_COPIED, pytest.mark.timeout(240)]


def needs(module: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"needs {module}, of the extra 'plugins'")


def without(*plugins: str) -> str:
    """Settings that keep other plugins out, which would want files of their own."""
    return f"{SETTINGS}\nDISABLE_HOOKS_FOR_PLUGINS = {plugins!r}\n"


MLFLOW_NAMES = ("kedro_mlflow", "kedro-mlflow")


def run(project: Folder, start_method: str, **environment: str) -> Done:
    return project.run_script(RUN_WITH, start_method, **environment)


def main_process(project: Folder) -> int:
    (pid,) = project.notes("main")
    return pid


def assert_nodes_ran_in_workers(project: Folder, count: int) -> None:
    workers = project.notes("node")
    assert main_process(project) not in workers
    assert sum(map(len, workers.values())) == count


def log_lines(project: Folder) -> list[str]:
    return (project.root / "run.log").read_text(encoding="utf-8").splitlines()


# --- kedro-viz --------------------------------------------------------------------------------

FRAME_NODES = """
import pandas as pd
from orchard.trace import note


def grow(rows):
    note("node")
    return pd.DataFrame({"apple": range(rows), "weight": 0.5})


def sort(trees):
    note("node")
    return trees.sort_values("apple", ascending=False)


def weigh(trees, sorted_trees):
    note("node")
    return pd.concat([trees, sorted_trees])[["weight"]], "not a frame"
"""

FRAME_PIPELINE = """Pipeline(
        [
            node(grow, "params:rows", "trees", name="grow"),
            node(sort, "trees", "sorted@pandas", name="sort"),
            node(weigh, ["trees", "sorted@again"], ["weights", "text"], name="weigh"),
        ]
    )"""

FRAME_CATALOG = """
trees:
  type: pandas.CSVDataset
  filepath: trees.csv
sorted@pandas:
  type: pandas.ParquetDataset
  filepath: sorted.parquet
sorted@again:
  type: pandas.ParquetDataset
  filepath: sorted.parquet
"""

FRAME_FILES = {
    **pipeline_files("frames", FRAME_NODES, FRAME_PIPELINE),
    f"src/{PACKAGE}/settings.py": without(*MLFLOW_NAMES),
    "conf/base/catalog.yml": FRAME_CATALOG,
    "conf/base/parameters.yml": "rows: 12\n",
    "conf/logging.yml": LOGGING,
}

Ran = Callable[[str], Folder]


@pytest.fixture(scope="module")
def framed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The project of data frames after a run, once for each start method."""

    @functools.cache
    def after(start_method: str) -> Folder:
        project = make_project(tmp_path_factory.mktemp("framed") / "project", FRAME_FILES)
        done = run(project, start_method)
        assert done.returncode == 0, done.output
        return project

    return after


def viz_file(project: Folder, name: str) -> Path:
    return project.root / ".viz" / name


@needs("kedro_viz")
def test_viz_finds_the_same_statistics(framed: Ran, start_method: str) -> None:
    texts = [
        viz_file(framed(method), "stats.json").read_text(encoding="utf-8")
        for method in (start_method, SEQUENTIAL)
    ]

    found, expected = map(json.loads, texts)
    assert found == expected
    # Of a frame in memory, of files that workers wrote, and of a transcoded one.
    assert found["weights"] == {"rows": 24, "columns": 1}
    assert (found["trees"]["rows"], found["trees"]["columns"]) == (12, 2)
    assert found["trees"]["file_size"] == (framed(start_method).root / "trees.csv").stat().st_size
    assert found["sorted"]["file_size"] > 0
    assert_nodes_ran_in_workers(framed(start_method), 3)


STATUS_NODES = """
import pandas as pd
from orchard.datasets import meet
from orchard.trace import note


def grow(rows):
    note("node")
    return pd.DataFrame({"apple": range(rows)})


def count(trees):
    note("node")
    meet()
    return len(trees)


def press(trees, soil, fault):
    note("node")
    if fault == "function":
        raise ValueError("too sour")
    return len(trees) + soil
"""

STATUS_PIPELINE = """Pipeline(
        [
            node(grow, "params:rows", "trees", name="grow", tags="first"),
            node(count, "trees", "number", name="count"),
            node(press, ["trees", "soil", "params:fault"], "juice", name="press"),
        ]
    )"""

# Where two nodes run at once, one of them loads while the other one is in its function.
STATUS_DATASETS = """
import os
from multiprocessing.connection import Client

from kedro.io import AbstractDataset


def meet():
    if "MEETING" in os.environ:
        with Client(("127.0.0.1", int(os.environ["MEETING"]))) as connection:
            connection.recv()


class Soil(AbstractDataset):
    def __init__(self, fault):
        self.fault = fault

    def load(self):
        meet()
        if self.fault == "load":
            raise ValueError("too dry")
        return 3

    def save(self, data):
        raise NotImplementedError

    def _describe(self):
        return {}
"""

STATUS_CATALOG = """
trees:
  type: pandas.CSVDataset
  filepath: trees.csv
soil:
  type: orchard.datasets.Soil
  fault: ${runtime_params:fault}
"""

STATUS_FILES = {
    **pipeline_files("status", STATUS_NODES, STATUS_PIPELINE),
    f"src/{PACKAGE}/settings.py": without(*MLFLOW_NAMES),
    f"src/{PACKAGE}/datasets.py": STATUS_DATASETS,
    "conf/base/catalog.yml": STATUS_CATALOG,
    "conf/base/parameters.yml": "rows: 12\n",
    "conf/logging.yml": LOGGING,
}

# Several runs in one process, whose start takes longer than they do.
RUN_AND_READ_STATUS = """
import contextlib
import json
import os
import sys
import threading
from multiprocessing.connection import Listener
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner
from kedro_viz.integrations.kedro.run_hooks import pipeline_run_hook

import prunner

FILE = Path(".viz", "kedro_pipeline_events.json")


def bring_together(listener):
    while True:
        with listener.accept() as one, listener.accept() as other:
            one.send("go on")
            other.send("go on")


def run(fault, runner, **what):
    FILE.unlink(missing_ok=True)
    pipeline_run_hook.__init__()  # it collects the events of all runs of a process
    error = None
    try:
        with KedroSession.create(runtime_params={"fault": fault}) as session:
            session.run(runner=runner, **what)
    except Exception as raised:
        error = type(raised).__name__
    return error, json.loads(FILE.read_text()) if FILE.exists() else None


if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    from orchard.trace import note

    note("main")
    faults = ("none", "function", "load")
    start_method = sys.argv[1]
    if start_method == "sequential":
        answer = {fault: run(fault, SequentialRunner()) for fault in faults}
    else:
        listener = Listener(("127.0.0.1", 0))
        os.environ["MEETING"] = str(listener.address[1])
        threading.Thread(target=bring_together, args=(listener,), daemon=True).start()
        options = {"max_workers": 2, "start_method": start_method}
        answer = {fault: run(fault, prunner.ParallelRunner(**options)) for fault in faults}
        answer["part"] = run("none", prunner.ParallelRunner(**options), tags=["first"])
        in_workers = prunner.ParallelRunner(**options, worker_hooks=["kedro-viz"])
        answer["in workers"] = run("none", in_workers)
    print(json.dumps(answer))
"""

Statuses = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def statuses(tmp_path_factory: pytest.TempPathFactory) -> Statuses:
    """What kedro-viz has of runs with various faults, once for each start method."""
    project = make_project(tmp_path_factory.mktemp("status") / "project", STATUS_FILES)

    @functools.cache
    def after(start_method: str) -> dict[str, Any]:
        answer = project.run_script(RUN_AND_READ_STATUS, start_method).answer
        assert isinstance(answer, dict)
        return answer

    return after


def plain_events(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events in an order that does not depend on the run."""
    return sorted(map(plain_event, events), key=lambda event: json.dumps(event, sort_keys=True))


def plain_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event without times, and of a traceback the frames of the project and the message."""
    plain = {key: value for key, value in event.items() if key not in ("duration", "timestamp")}
    assert event.get("duration", 1) > 0
    if "traceback" in event:
        kept = f"{PACKAGE}{os.sep}", event["error"].splitlines()[-1]
        found = event["traceback"].splitlines()
        plain["traceback"] = [line for line in found if any(text in line for text in kept)]
        assert len(plain["traceback"]) > 1, found
    return plain


@needs("kedro_viz")
@pytest.mark.parametrize("fault", ["none", "function", "load"])
def test_viz_has_the_same_status_of_a_run(
    statuses: Statuses, fault: str, start_method: str
) -> None:
    error, events = statuses(start_method)[fault]
    expected_error, expected = statuses(SEQUENTIAL)[fault]

    assert error == expected_error
    assert plain_events(events) == plain_events(expected)
    failed = [event for event in events if event["event"] == "on_pipeline_error"]
    last = {key: event.get(key) for event in failed for key in ("node", "dataset", "operation")}
    assert (
        last
        == {
            "none": {},
            "function": {"node": "press", "dataset": None, "operation": None},
            "load": {"node": "press", "dataset": "soil", "operation": "loading"},
        }[fault]
    )


@needs("kedro_viz")
@pytest.mark.parametrize("run", ["part", "in workers"])
def test_viz_tracks_no_run_of_which_it_sees_a_part(
    statuses: Statuses, run: str, start_method: str
) -> None:
    assert statuses(start_method)[run] == [None, None]


# --- kedro-telemetry --------------------------------------------------------------------------

TELEMETRY_LOGGING = LOGGING.replace("%(levelname)s", "%(process)d %(levelname)s").replace(
    "loggers:", "loggers:\n  kedro_telemetry:\n    level: DEBUG"
)

TELEMETRY_FILES = {
    **FRAME_FILES,
    ".telemetry": "consent: true\n",
    "conf/logging.yml": TELEMETRY_LOGGING,
}


@contextlib.contextmanager
def refusing_proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy on this machine that lets nothing through, and what it was asked for."""
    asked: list[str] = []

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, *_: Any) -> None:
            """Not into the output of the tests."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def telemetry_environment(proxy: str, home: Path) -> dict[str, str]:
    """Lets kedro-telemetry send, to the proxy alone, and keep its file in this folder."""
    allowing = ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY", "GITHUB_REPOSITORY_OWNER")
    return {
        **dict.fromkeys((*allowing, "no_proxy", "NO_PROXY"), ""),
        "https_proxy": proxy,
        "HTTPS_PROXY": proxy,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
    }


@needs("kedro_telemetry")
def test_telemetry_sends_once_and_from_the_main_process(tmp_path: Path, start_method: str) -> None:
    project = make_project(tmp_path / "project", TELEMETRY_FILES)

    with refusing_proxy() as (proxy, asked):
        environment = telemetry_environment(proxy, tmp_path)
        done = run(project, start_method, **environment)

    assert done.returncode == 0, done.output
    assert len(asked) == 1
    assert asked[0].endswith(":443")
    refused = [line for line in log_lines(project) if "kedro_telemetry" in line]
    assert [line.split()[0] for line in refused] == [str(main_process(project))], refused
    assert "Failed to send" in refused[0]
    assert_nodes_ran_in_workers(project, 3)


# --- kedro-mlflow -----------------------------------------------------------------------------

MLFLOW_NODES = """
import mlflow
import pandas as pd
from orchard.trace import note


def weigh(factor):
    note("node")
    return 2.5 * factor


def report(factor):
    note("node")
    return pd.DataFrame({"apple": range(10), "weight": factor})


def sweeten(sugar):
    note("node")
    mlflow.log_metric("sweetness", sugar)
    return sugar


def close(weight, text, sugar):
    note("node")
    if sugar > 100:
        raise ValueError("too sweet")
    return float(weight + len(text) + sugar)
"""

# Several nodes side by side, and one whose inputs came out of other processes.
MLFLOW_PIPELINE = """Pipeline(
        [
            node(weigh, "params:factor", "weight", name="weigh"),
            node(report, "params:factor", "report", name="report"),
            node(sweeten, "params:sugar", "sweet", name="sweeten"),
            node(close, ["weight", "report", "sweet"], "sum", name="close"),
        ],
        tags=os.environ.get("TAG", "any"),
    )"""

MLFLOW_CATALOG = """
weight:
  type: kedro_mlflow.io.metrics.MlflowMetricDataset
report:
  type: kedro_mlflow.io.artifacts.MlflowArtifactDataset
  dataset:
    type: pandas.CSVDataset
    filepath: report.csv
sum:
  type: kedro_mlflow.io.metrics.MlflowMetricDataset
"""

MLFLOW_YML = """
server:
  mlflow_tracking_uri: sqlite:///mlflow.db
tracking:
  experiment:
    name: orchard
    create_experiment_kwargs:
      artifact_location: artifacts
"""

MLFLOW_FILES = {
    **pipeline_files("tracked", "import os\n" + MLFLOW_NODES, MLFLOW_PIPELINE),
    "conf/base/catalog.yml": MLFLOW_CATALOG,
    "conf/base/mlflow.yml": MLFLOW_YML,
}

# Says what mlflow has in the process that ran: to import mlflow takes longer than the rest.
RUN_AND_READ = """
import json
import sys
from pathlib import Path

import mlflow
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner

import prunner


def mlflow_runs():
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return [
        {
            "status": run.info.status,
            "name": run.info.run_name,
            "parameters": run.data.params,
            "metrics": run.data.metrics,
            "artifacts": [file.path for file in client.list_artifacts(run.info.run_id)],
            "tags": {key: text for key, text in run.data.tags.items() if "kedro" in key},
        }
        for run in client.search_runs(experiments, order_by=["attributes.start_time"])
    ]


if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    from orchard.trace import note

    note("main")
    start_method, options = sys.argv[1], json.loads(sys.argv[2])
    if start_method == "sequential":
        runner = SequentialRunner()
    else:
        runner = prunner.ParallelRunner(max_workers=2, start_method=start_method, **options)
    error = None
    try:
        with KedroSession.create() as session:
            session.run(runner=runner)
    except ValueError as raised:
        error = str(raised)
    print(json.dumps([error, mlflow_runs()]))
"""

Tracked = Callable[[Path, int], Folder]
TOO_SWEET = "too sweet"


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """Makes a project whose data base has one run already, of ``SequentialRunner``."""

    @functools.cache
    def model(sugar: int) -> Folder:
        files = {**MLFLOW_FILES, "conf/base/parameters.yml": f"factor: 2\nsugar: {sugar}\n"}
        project = make_project(tmp_path_factory.mktemp("tracked") / "project", files)
        error, runs = run_tracked(project, SEQUENTIAL)
        assert error == (TOO_SWEET if sugar > 100 else None)
        assert len(runs) == 1
        return project

    def copy(root: Path, sugar: int) -> Folder:
        # The data base is made once, which takes longer than a run.
        shutil.copytree(model(sugar).root, root)
        trace = root.with_name("trace")
        trace.mkdir()
        return Folder(root, trace)

    return copy


def run_tracked(
    project: Folder, start_method: str, tag: str = "any", **options: Any
) -> tuple[str | None, list[dict[str, Any]]]:
    """The error of the run, and all mlflow runs after it."""
    done = project.run_script(
        RUN_AND_READ,
        start_method,
        json.dumps(options),
        MLFLOW_DISABLE_TELEMETRY="true",
        TAG=tag,
    )
    error, runs = done.answer
    return error, runs


@needs("kedro_mlflow")
def test_mlflow_has_one_run_with_everything(
    tmp_path: Path, tracked: Tracked, start_method: str
) -> None:
    project = tracked(tmp_path / "project", 7)

    error, runs = run_tracked(project, start_method)

    assert error is None
    expected, found = runs
    assert found == expected
    assert found["status"] == "FINISHED"
    assert found["parameters"] == {"factor": "2", "sugar": "7"}
    assert found["metrics"] == {"weight": 5.0, "sweetness": 7.0, "sum": 22.0}
    assert found["artifacts"] == ["report.csv"]
    assert_nodes_ran_in_workers(project, 4)


@needs("kedro_mlflow")
def test_mlflow_has_one_run_that_failed(
    tmp_path: Path, tracked: Tracked, start_method: str
) -> None:
    project = tracked(tmp_path / "project", 101)

    error, runs = run_tracked(project, start_method)

    assert error == TOO_SWEET
    expected, found = runs
    assert found == expected
    assert found["status"] == "FAILED"


@needs("kedro_mlflow")
def test_mlflow_has_one_run_of_nodes_that_stay_in_the_main_process(
    tmp_path: Path, tracked: Tracked, start_method: str
) -> None:
    project = tracked(tmp_path / "project", 7)

    error, runs = run_tracked(project, start_method, tag="prunner.main")

    assert error is None
    expected, found = runs
    assert found == expected
    assert list(project.notes("node")) == [main_process(project)]


# --- run_params -------------------------------------------------------------------------------

RUNNER_HOOK = """
from kedro.framework.hooks import hook_impl

from .trace import note


class Recorder:
    @hook_impl
    def before_pipeline_run(self, run_params):
        note("runner", text=run_params["runner"])
"""

RUNNER_FILES = {
    **pipeline_files("one", "", 'Pipeline([node(lambda: 1, None, "one", name="one")])'),
    f"src/{PACKAGE}/hooks.py": RUNNER_HOOK,
    f"src/{PACKAGE}/settings.py": without(*MLFLOW_NAMES)
    + "from .hooks import Recorder\n\nHOOKS = (Recorder(),)\n",
}


def runner_text(project: Folder) -> str:
    ((note,),) = project.notes("runner").values()
    text = note["text"]
    assert isinstance(text, str)
    return text


def readable(start_method: str) -> str:
    options = rf"max_workers=2, is_async=False, start_method='{start_method}'.*"
    return rf"prunner\.ParallelRunner\({options}\)"


def test_plugins_are_told_the_runner_as_a_readable_string(
    tmp_path: Path, start_method: str
) -> None:
    project = make_project(tmp_path / "project", RUNNER_FILES)

    done = run(project, start_method)

    assert done.returncode == 0, done.output
    assert re.fullmatch(readable(start_method), runner_text(project))


@pytest.mark.skipif(KEDRO < (1, 6), reason="--runner-params came with Kedro 1.6")
def test_plugins_are_told_the_runner_of_kedro_run_as_a_readable_string(
    tmp_path: Path, start_method: str
) -> None:
    project = make_project(tmp_path / "project", RUNNER_FILES)
    options = f"--runner-params=max_workers=2,start_method={start_method}"

    done = project.run("-m", "kedro", "run", "--runner=prunner.ParallelRunner", options)

    assert done.returncode == 0, done.output
    assert re.fullmatch(readable(start_method), runner_text(project))
