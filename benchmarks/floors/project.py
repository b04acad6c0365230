"""A Kedro project as ``kedro new`` makes it, with trivial nodes in a module that needs pandas."""

from __future__ import annotations

from pathlib import Path

import kedro

_PACKAGE = "floor"
_NODES = 10

_PYPROJECT = f"""\
[project]
name = "{_PACKAGE}"
version = "0.1"

[tool.kedro]
package_name = "{_PACKAGE}"
project_name = "{_PACKAGE}"
kedro_init_version = "{kedro.__version__}"
source_dir = "src"
"""

_REGISTRY = """\
from kedro.framework.project import find_pipelines


def register_pipelines():
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum(pipelines.values())
    return pipelines
"""

_NODES_MODULE = """\
import pandas as pd


def trivial(number):
    assert pd.__version__
    return number + 1
"""

_PIPELINE = f"""\
from kedro.pipeline import Pipeline, node

from {_PACKAGE}.pipelines.trivial.nodes import trivial


def create_pipeline(**kwargs):
    return Pipeline(
        [
            node(trivial, "params:number", f"out{{i}}", name=f"node{{i}}")
            for i in range({_NODES})
        ]
    )
"""

_FILES = {
    "pyproject.toml": _PYPROJECT,
    "conf/base/catalog.yml": "",
    "conf/base/parameters.yml": "number: 1\n",
    "conf/local/credentials.yml": "",
    f"src/{_PACKAGE}/__init__.py": '__version__ = "0.1"\n',
    f"src/{_PACKAGE}/settings.py": "",
    f"src/{_PACKAGE}/pipeline_registry.py": _REGISTRY,
    f"src/{_PACKAGE}/pipelines/__init__.py": "",
    f"src/{_PACKAGE}/pipelines/trivial/__init__.py": "from .pipeline import create_pipeline\n",
    f"src/{_PACKAGE}/pipelines/trivial/nodes.py": _NODES_MODULE,
    f"src/{_PACKAGE}/pipelines/trivial/pipeline.py": _PIPELINE,
}


def make_project(root: Path) -> Path:
    """Write the project's files into a folder that does not exist yet, and return it."""
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
