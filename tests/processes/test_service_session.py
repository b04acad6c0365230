"""One ``KedroServiceSession`` and one runner serve several runs, each with its own parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import PACKAGE, make_project

pytestmark = NEW_AND_COPIED

FILES = {
    "conf/base/parameters.yml": "weight: 3\n",
    f"src/{PACKAGE}/pipelines/fruit/__init__.py": "from .pipeline import create_pipeline\n",
    f"src/{PACKAGE}/pipelines/fruit/nodes.py": "def pick(weight):\n    return weight * 10\n",
    f"src/{PACKAGE}/pipelines/fruit/pipeline.py": """
from kedro.pipeline import Pipeline, node

from .nodes import pick


def create_pipeline(**kwargs):
    return Pipeline([node(pick, "params:weight", f"apple{n}", name=f"pick{n}") for n in range(2)])
""",
}

SCRIPT = """
import json
import sys
from pathlib import Path

import prunner
from kedro.framework.session import KedroServiceSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
runner = prunner.ParallelRunner(max_workers=2, start_method=sys.argv[1])
answers = []
with KedroServiceSession.create(project_path=Path.cwd()) as session:
    for weight in (5, 7):
        outputs = session.run(runner=runner, runtime_params={"weight": weight})
        answers.append(sorted(dataset.load() for dataset in outputs.values()))
print(json.dumps(answers))
"""


def test_each_run_has_its_own_parameters(tmp_path: Path, start_method: str) -> None:
    pytest.importorskip("kedro.framework.session.service_session")
    project = make_project(tmp_path / "project", FILES)

    assert project.run_script(SCRIPT, start_method).answer == [[50, 50], [70, 70]]
