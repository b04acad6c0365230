"""The Kedro project that is run across hosts; only the client's host has it."""

from __future__ import annotations

import json
from pathlib import Path

import kedro

PACKAGE = "prunner_hosts_project"
PARTS = 16  # nodes that could run at once

_PYPROJECT = f"""\
[project]
name = "{PACKAGE}"
version = "0.1"

[tool.kedro]
package_name = "{PACKAGE}"
project_name = "{PACKAGE}"
kedro_init_version = "{kedro.__version__}"
source_dir = "src"
"""

_PIPELINES = """\
import logging
import socket
from functools import partial
from time import sleep

from kedro.pipeline import Pipeline, node

logger = logging.getLogger(__name__)


def part(raw, seconds, number):
    sleep(seconds)
    logger.info("part %d on %s with %s", number, socket.gethostname(), __file__)
    return sum(value * number for value in raw)


def add(*values):
    return sum(values)


def register_pipelines():
    parts = [
        node(
            partial(part, number=i), ["raw", "params:seconds"], f"part{i}", name=f"part{i}"
        )
        for i in range(PARTS)
    ]
    last = node(add, [f"part{i}" for i in range(PARTS)], "total", name="add")
    return {"__default__": Pipeline([*parts, last])}
"""

_ENTRY = """\
raw:
  type: json.JSONDataset
  filepath: {folder}/raw.json

total:
  type: json.JSONDataset
  filepath: {folder}/total.json
"""


def make_project(root: Path, shared: Path) -> None:
    """Write the project.

    Args:
        root: Its folder.
        shared: A folder that all hosts have; the catalog of the environment "shared" is there.
    """
    files = {
        "pyproject.toml": _PYPROJECT,
        "conf/base/catalog.yml": _ENTRY.format(folder="data"),
        "conf/base/parameters.yml": "seconds: 0.3\n",
        "conf/shared/catalog.yml": _ENTRY.format(folder=shared),
        "conf/local/credentials.yml": "",
        "data/raw.json": json.dumps(list(range(1000))),
        f"src/{PACKAGE}/__init__.py": "",
        f"src/{PACKAGE}/settings.py": "",
        f"src/{PACKAGE}/pipeline_registry.py": f"PARTS = {PARTS}\n{_PIPELINES}",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (shared / "raw.json").write_text(files["data/raw.json"], encoding="utf-8")
