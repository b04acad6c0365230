"""Runs one case, with and without its faults, and looks after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.runner import AbstractRunner, SequentialRunner

from tests.chaos.cases import Case
from tests.chaos.check import Outcome, problems
from tests.chaos.faults import Fault
from tests.chaos.nodes import FileDataset, WorkerId, number


def run_case(case: Case, start_method: str) -> tuple[Outcome, list[str]]:
    """Run a case under a start method.

    Returns:
        What it led to, and what is wrong with that.
    """
    got = _outcome(case, case.options.runner(start_method), with_faults=True)
    expected = _outcome(case, SequentialRunner(), with_faults=False)
    assert expected.error is None, expected.error
    return got, list(problems(case, got, expected))


def _outcome(case: Case, runner: AbstractRunner, with_faults: bool) -> Outcome:
    pipeline, outcome = case.pipeline(), Outcome()
    # Windows removes no file that a process has open which is just being ended.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        catalog = case.catalog(folder, with_faults)
        try:
            outputs = runner.run(pipeline, catalog, _hooks(case, folder, with_faults))
            outcome.outputs = {name: number(_held(each)) for name, each in outputs.items()}
        except BaseException as error:
            outcome.error = error
        outcome.left = _left(catalog, pipeline.outputs())
    return outcome


def _left(catalog: DataCatalog, names: set[str]) -> dict[str, int]:
    found = {name: catalog.get(name) for name in names if catalog.exists(name)}
    return {name: number(_held(each)) for name, each in found.items()}


def _held(dataset: Any) -> Any:
    """What a dataset holds, whatever it does when it is loaded."""
    return dataset.peek() if isinstance(dataset, FileDataset) else dataset.load()


def _hooks(case: Case, folder: Path, with_faults: bool) -> Any:
    armed = case.armed(folder) if with_faults else {}
    killing = {name: fault for name, fault in armed.items() if "hook" in fault.place}
    if not killing and not case.has_hooks:
        return None
    manager = _create_hook_manager()
    manager.register(_Killer(killing))
    return manager


class _Killer:
    """Ends workers that wait for a hook."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._faults = faults

    @hook_impl
    def after_dataset_loaded(self, dataset_name, data, node):
        self._kill("load hook", node, [data])

    @hook_impl
    def before_node_run(self, node, inputs):
        self._kill("run hook", node, list(inputs.values()))

    def _kill(self, place: str, node: Any, values: list[Any]) -> None:
        fault = self._faults.get(node.name)
        workers = [each.pid for each in values if isinstance(each, WorkerId)]
        if fault is not None and fault.place == place and workers and fault.is_due():
            assert workers[0] != os.getpid()
            psutil.Process(workers[0]).kill()
