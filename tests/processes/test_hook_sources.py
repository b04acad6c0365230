"""Hooks that do not come from ``settings.py``: of an installed plugin, and registered by hand."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import (
    PACKAGE,
    RUN_WITH,
    SETTINGS,
    Folder,
    make_project,
    pipeline_files,
)

pytestmark = NEW_AND_COPIED

NODES = """
from orchard.trace import note


def pick(weight):
    note("node")
    return weight * 2


def press(apple):
    note("node")
    return f"juice of {apple}"
"""

PIPELINE = """Pipeline(
        [node(pick, "params:weight", f"apple{n}", name=f"pick{n}") for n in range(4)]
        + [node(press, f"apple{n}", f"juice{n}", name=f"press{n}") for n in range(4)]
    )"""
NODE_NAMES = [f"pick{n}" for n in range(4)] + [f"press{n}" for n in range(4)]

# What a distribution is for Python: a folder on the import path with the metadata beside the code.
PLUGIN = {
    "tally-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: kedro-tally\nVersion: 1.0\n",
    "tally-1.0.dist-info/entry_points.txt": "[kedro.hooks]\ntally = tally:hooks\n",
    "tally.py": """
from kedro.framework.hooks import hook_impl
from orchard.trace import note


class Tally:
    def __init__(self):
        self.calls = 0

    def count(self, hook, of=None):
        self.calls += 1
        note("hook", hook=hook, of=of, calls=self.calls)

    @hook_impl
    def after_context_created(self):
        self.count("after_context_created")

    @hook_impl
    def after_catalog_created(self):
        self.count("after_catalog_created")

    @hook_impl
    def before_pipeline_run(self):
        self.count("before_pipeline_run")

    @hook_impl
    def before_node_run(self, node):
        self.count("before_node_run", node.name)

    @hook_impl
    def before_dataset_loaded(self, dataset_name, node):
        self.count("before_dataset_loaded", [dataset_name, node.name])

    @hook_impl
    def after_dataset_loaded(self, dataset_name, node, data):
        self.count("after_dataset_loaded", [dataset_name, node.name, data])

    @hook_impl
    def before_dataset_saved(self, dataset_name, node, data):
        self.count("before_dataset_saved", [dataset_name, node.name, data])

    @hook_impl
    def after_dataset_saved(self, dataset_name, node, data):
        self.count("after_dataset_saved", [dataset_name, node.name, data])

    @hook_impl
    def after_node_run(self, node, outputs):
        self.count("after_node_run", [node.name, outputs])

    @hook_impl
    def after_pipeline_run(self):
        self.count("after_pipeline_run")


hooks = Tally()
""",
}

# The run is called on a thread that is not the main one, to tell the two apart.
RUN_WITH_HOOK_BY_HAND = """
import json
import os
import sys
import threading
from pathlib import Path

from kedro.framework.hooks import hook_impl
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

import prunner

here = lambda: [os.getpid(), threading.get_ident()]


class Ledger:
    def __init__(self):
        self.places = [here()]
        self.season = None
        self.seasons = []
        self.outputs = {}
        self.closed_with = None

    @hook_impl
    def before_pipeline_run(self, run_params):
        self.places.append(here())
        self.season = run_params["run_id"] or run_params["session_id"]

    @hook_impl
    def before_node_run(self, node):
        self.places.append(here())
        self.seasons.append([node.name, self.season])

    @hook_impl
    def after_node_run(self, outputs):
        self.places.append(here())
        self.outputs.update(outputs)

    @hook_impl
    def after_pipeline_run(self):
        self.places.append(here())
        self.closed_with = dict(self.outputs)


def run():
    ledger = Ledger()
    with KedroSession.create() as session:
        session._hook_manager.register(ledger)
        session.run(runner=prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1]))
    ledgers.append(ledger)


if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    ledgers = []
    caller = threading.Thread(target=run)
    caller.start()
    caller.join()
    print(json.dumps({**vars(ledgers[0]), "main": here()}))
"""


def make_fruit(root: Path) -> Folder:
    files = {
        **pipeline_files("fruit", NODES, PIPELINE),
        f"src/{PACKAGE}/settings.py": SETTINGS
        + 'import os\n\nDISABLE_HOOKS_FOR_PLUGINS = os.environ.get("DISABLED", "").split()\n',
        "conf/base/parameters.yml": "weight: 3\n",
    }
    return make_project(root / "project", files)


def make_fruit_with_plugin(root: Path) -> Folder:
    """The project where the plugin is installed."""
    project, site = make_fruit(root), root / "site"
    for name, text in PLUGIN.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return dataclasses.replace(project, import_path=(site,))


@pytest.fixture(scope="module")
def of_sequential(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The hook calls of the plugin under SequentialRunner."""
    project = make_fruit_with_plugin(tmp_path_factory.mktemp("sequential"))
    done = project.run_script(RUN_WITH, "sequential")
    assert done.returncode == 0, done.output
    (calls,) = project.notes("hook").values()
    return calls


@pytest.fixture
def with_plugin(tmp_path: Path) -> Folder:
    return make_fruit_with_plugin(tmp_path)


def hook_calls(notes: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((note["hook"], repr(note["of"])) for note in notes)


def main_process(project: Folder) -> int:
    (pid,) = project.notes("main")
    return pid


def test_hooks_of_an_installed_plugin_fire_as_with_the_sequential_runner(
    with_plugin: Folder, of_sequential: list[dict[str, Any]], start_method: str
) -> None:
    done = with_plugin.run_script(RUN_WITH, start_method)

    assert done.returncode == 0, done.output
    ((pid, calls),) = with_plugin.notes("hook").items()
    assert pid == main_process(with_plugin)
    assert hook_calls(calls) == hook_calls(of_sequential)
    assert set(hook_calls(calls).values()) == {1}
    # One instance counted them all.
    assert [call["calls"] for call in calls] == list(range(1, len(of_sequential) + 1))
    assert pid not in with_plugin.notes("node")


def test_hooks_of_a_disabled_plugin_never_fire(with_plugin: Folder, start_method: str) -> None:
    done = with_plugin.run_script(RUN_WITH, start_method, DISABLED="kedro-tally")

    assert done.returncode == 0, done.output
    assert not with_plugin.notes("hook")
    assert sum(map(len, with_plugin.notes("node").values())) == len(NODE_NAMES)


def test_a_hook_registered_by_hand_keeps_its_state_on_the_thread_that_called_run(
    tmp_path: Path, start_method: str
) -> None:
    project = make_fruit(tmp_path)
    answer = project.run_script(RUN_WITH_HOOK_BY_HAND, start_method).answer

    caller = answer["places"][0]
    assert caller[0] == answer["main"][0]
    assert caller[1] != answer["main"][1]
    assert answer["places"] == [caller] * (3 + 2 * len(NODE_NAMES))
    assert answer["season"]
    assert sorted(answer["seasons"]) == [[name, answer["season"]] for name in sorted(NODE_NAMES)]
    assert answer["closed_with"] == {
        **{f"apple{n}": 6 for n in range(4)},
        **{f"juice{n}": "juice of 6" for n in range(4)},
    }
    workers = project.notes("node")
    assert caller[0] not in workers
    assert sum(map(len, workers.values())) == len(NODE_NAMES)
