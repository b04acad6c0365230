"""What docs/sessions.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.processes.conftest import NEW_AND_COPIED
from tests.processes.projects import PACKAGE, make_project

pytestmark = NEW_AND_COPIED

PAGE = Path(__file__).parents[2] / "docs" / "sessions.md"

NODES = """
from kedro.framework import project


def pick(weight, fruit):
    return {"weight": weight, "fruit": fruit}


def pack(picked):
    return {**picked, "package": project.PACKAGE_NAME}


def bite(picked):
    raise ValueError("this one is rotten")


def swallow(bitten):
    return bitten
"""

REGISTRY = f"""
from kedro.pipeline import Pipeline, node

from {PACKAGE}.nodes import bite, pack, pick, swallow


def register_pipelines():
    first = node(pick, ["params:weight", "params:fruit"], "picked", name="pick")
    rotten = [
        node(bite, "picked", "bitten", name="bite"),
        node(swallow, "bitten", "done", name="swallow"),
    ]
    return {{
        "__default__": Pipeline([first, node(pack, "picked", "basket", name="pack")]),
        "rotten": Pipeline([first, *rotten]),
    }}
"""


def blocks(text):
    """The code of the page that is for a script, and that which is for settings.py."""
    found = re.findall(r"(<!-- settings -->\n)?```python\n(.*?)```", text, re.DOTALL)
    return [code for mark, code in found if not mark], [code for mark, code in found if mark]


def test_the_page_is_true(tmp_path, start_method):
    pytest.importorskip("kedro.framework.session.service_session")
    script, settings = blocks(PAGE.read_text(encoding="utf-8"))
    assert len(script) >= 9
    files = {
        "conf/base/parameters.yml": "weight: 3\nfruit: apple\n",
        "conf/big/parameters.yml": "weight: 300\n",
        "other_conf/base/parameters.yml": "weight: 42\nfruit: plum\n",
        "other_conf/base/catalog.yml": "",
        "other_conf/local/parameters.yml": "",
        f"src/{PACKAGE}/nodes.py": NODES,
        f"src/{PACKAGE}/pipeline_registry.py": REGISTRY,
        f"src/{PACKAGE}/settings.py": "\n".join(settings),
    }
    project = make_project(tmp_path / "project", files)
    done = project.run_script("\n".join(script), PRUNNER_START_METHOD=start_method)
    assert done.returncode == 0, done.output
