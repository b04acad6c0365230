"""A real Jupyter kernel runs a notebook of a Kedro project, and edits the project in between."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import PACKAGE, Folder, make_project, pipeline_files

pytestmark = NEW_AND_COPIED

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NODES = """
import os

from orchard.trace import note


def pick(weight):
    print(f"picked {weight}", flush=True)
    note("pick", weight=weight)
    return weight * 10
"""

FILES = {
    **pipeline_files(
        "fruit", NODES, 'Pipeline([node(pick, "params:weight", "apple", name="pick")])'
    ),
    "conf/base/parameters.yml": "weight: 3\n",
}

# The size changes too: a compiled module is known by its size and the second of its last change.
EDIT = f"""
from pathlib import Path

path = Path("src/{PACKAGE}/pipelines/fruit/nodes.py")
text = path.read_text(encoding="utf-8")
path.write_text(text.replace("weight * 10", "weight * 1000 + 1"), encoding="utf-8")
"""

CELLS = [
    "%load_ext kedro.ipython",
    "%reload_kedro",
    "from prunner import ParallelRunner\n"
    "import os\n"
    "runner = ParallelRunner(max_workers=1, start_method=os.environ['METHOD'])",
    """
class Basket:
    made = 0

    def __init__(self, apples):
        self.apples = apples
        self.pid = os.getpid()


def fill(basket):
    assert type(basket) is Basket and os.getpid() != basket.pid
    print("filled in a worker", flush=True)
    return Basket(basket.apples + 1)
""",
    """
from kedro.io import MemoryDataset
from kedro.pipeline import Pipeline, node

catalog["empty"] = MemoryDataset(Basket(0))
filled = runner.run(Pipeline([node(fill, "empty", "filled")]), catalog)["filled"].load()
answer = {"class": type(filled) is Basket, "apples": filled.apples}
answer["elsewhere"] = filled.pid != os.getpid()
""",
    """
answer["pipelines"] = sorted(pipelines)
answer["before"] = session.run(runner=runner)["apple"].load()
""",
    EDIT,
    "%reload_kedro",
    'answer["after"] = session.run(runner=runner)["apple"].load()',
    "import json\nprint(json.dumps(answer))",
]


def run_notebook(folder: Folder, start_method: str) -> list[str]:
    """Run the cells in a kernel of this interpreter; return what each one wrote."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook, timeout=100, resources={"metadata": {"path": str(folder.root)}}
    )
    client.create_kernel_manager()
    client.km.kernel_spec.argv = [
        sys.executable,
        *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
    ]
    environment = folder.environment(METHOD=start_method)
    # In tests, as it can tell by this, the kernel does not capture what other processes write.
    environment.pop("PYTEST_CURRENT_TEST", None)
    client.execute(env=environment)
    return [written(cell) for cell in notebook.cells]


def written(cell: Any) -> str:
    return "".join(output["text"] for output in cell.outputs if output.output_type == "stream")


def test_a_notebook(tmp_path: Path, start_method: str) -> None:
    folder = make_project(tmp_path / "project", FILES)

    outputs = run_notebook(folder, start_method)

    assert json.loads(outputs[-1].splitlines()[-1]) == {
        "class": True,
        "apples": 1,
        "elsewhere": True,
        "pipelines": ["__default__", "fruit"],
        "before": 30,
        "after": 3001,
    }
    assert len(folder.notes("pick")) == 2
    if sys.platform != "win32":  # the kernel captures what its child processes write
        assert "filled in a worker" in "".join(outputs)
        assert "".join(outputs).count("picked 3") == 2
