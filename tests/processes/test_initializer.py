"""``prunner.project_initializer`` for process pools of one's own."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from tests.processes.projects import PACKAGE, Done, make_project

POOLS = """
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import prunner


def look(parent):
    from kedro.framework import project
    from kedro.framework.session import KedroSession

    assert os.getpid() != parent
    try:
        with KedroSession.create() as session:
            weight = session.load_context().params["weight"]
    except ValueError as error:
        return str(error)
    return [project.PACKAGE_NAME, project.settings.MARKER, weight]


def executor(method, initializer):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context, initializer=initializer) as pool:
        return pool.submit(look, os.getpid()).result()


def pool(method, initializer):
    context = multiprocessing.get_context(method)
    with context.Pool(1, initializer=initializer) as pool:
        found = pool.apply(look, [os.getpid()])
        pool.close()
        pool.join()
    return found


def loky(method, initializer):
    from loky import get_reusable_executor

    with get_reusable_executor(max_workers=1, initializer=initializer) as executor:
        return executor.submit(look, os.getpid()).result()


def joblib(method, initializer):
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    with parallel_config("loky", initializer=initializer):
        found, again = Parallel(n_jobs=2)(delayed(look)(os.getpid()) for _ in range(2))
    get_reusable_executor().shutdown(wait=True)
    assert found == again
    return found


def initialized(kind, method):
    return kind(method, prunner.project_initializer())
"""

SCRIPT = f"""
import json
import sys
from pathlib import Path

from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

import prunner

if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    from {PACKAGE} import pools

    start_method, *kinds = sys.argv[1:]
    method = None if start_method == "loky" else start_method
    runner = prunner.ParallelRunner(max_workers=1, start_method=start_method)
    answer = {{}}
    for name in kinds:
        kind = getattr(pools, name)
        bound = Pipeline([node(lambda: pools.initialized(kind, method), None, "found")])
        answer[name] = {{
            "without": kind(method, None),
            "with": pools.initialized(kind, method),
            "in a node": runner.run(bound, DataCatalog())["found"].load(),
        }}
    print(json.dumps(answer))
"""

FILES = {
    "conf/base/parameters.yml": "weight: 3\n",
    f"src/{PACKAGE}/settings.py": "MARKER = 'from settings.py'\n",
    f"src/{PACKAGE}/pools.py": POOLS,
}
KNOWN = [PACKAGE, "from settings.py", 3]


def run_pools(folder: Path, *arguments: str) -> Done:
    return make_project(folder / "project", FILES).run_script(SCRIPT, *arguments)


@pytest.mark.start_methods("spawn", "fork")
def test_pools_of_the_standard_library_know_the_project(tmp_path: Path, start_method: str) -> None:
    if start_method == "loky":
        pytest.skip("no start method of the standard library")
    answer = run_pools(tmp_path, start_method, "executor", "pool").answer

    for found in answer.values():
        assert found["with"] == found["in a node"] == KNOWN
        if start_method == "fork":
            assert found["without"] == KNOWN  # inherited
        else:
            assert found["without"].startswith("Package name not found")


def test_loky_executor_and_joblib_know_the_project(tmp_path: Path) -> None:
    kinds = ["loky", "joblib"] if joblib_takes_initializers() else ["loky"]
    answer = run_pools(tmp_path, "loky", *kinds).answer

    assert list(answer) == kinds
    for found in answer.values():
        assert found["without"].startswith("Package name not found")
        assert found["with"] == found["in a node"] == KNOWN


def joblib_takes_initializers() -> bool:
    try:
        version = importlib.metadata.version("joblib").split(".")
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(version[0]), int(version[1])) >= (1, 5)
