"""What a run does, written down so that two runners can be compared.

An ``Outcome`` holds everything that a user can see of a run: what it returns and leaves in the
catalog, the hook calls of each node, its log records, and the error.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DatasetError
from kedro.runner import AbstractRunner

from prunner.bridge.hooks import StaysWithNode
from prunner.bridge.logs import NODE_ATTRIBUTE, WORKER_ATTRIBUTE
from tests.pipelines import Case
from tests.random_nodes import number

EMPTY = "<no data>"
RUN_ID = "the run"
HERE = "<main process>"


@dataclass
class Outcome:
    """What is left of a run.

    Attributes:
        outputs: What the run returned, loaded.
        left: All datasets of the catalog after the run.
        hooks: The hook calls of each node, in order.
        logs: The log records of each node, in order; those of nodes that stayed in the main
            process while others ran in workers are together under ``HERE``.
        runners_logs: The records of the runner.
        error: What was raised.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)
    hooks: dict[str, list[Any]] = field(default_factory=dict)
    logs: dict[str, list[Any]] = field(default_factory=dict)
    runners_logs: list[Any] = field(default_factory=list)
    error: BaseException | None = None


def outcome_of(runner: AbstractRunner, case: Case, extra_hooks: Sequence[object] = ()) -> Outcome:
    """Run a case and write everything down."""
    pipeline, outcome = case.pipeline(), Outcome()
    with tempfile.TemporaryDirectory() as folder, _records() as records:
        catalog = case.catalog(Path(folder))
        recorder = Recorder(catalog, {each.name: each for each in pipeline.nodes})
        manager = _create_hook_manager()
        for each in (*extra_hooks, recorder):
            manager.register(each)
        try:
            outputs = runner.run(pipeline, catalog, manager, RUN_ID)
            outcome.outputs = {name: value_of(each) for name, each in outputs.items()}
        except BaseException as caught:
            outcome.error = caught
        outcome.left = {name: value_of(catalog.get(name)) for name in sorted(pipeline.datasets())}
    outcome.hooks = {name: list(calls) for name, calls in recorder.calls.items()}
    _sort(records, [each.name for each in pipeline.nodes], outcome)
    return outcome


class Recorder:
    """Writes down every hook call with all its arguments, and where it came from."""

    def __init__(self, catalog: Any, nodes: dict[str, Any]) -> None:
        self.calls: defaultdict[str, list[Any]] = defaultdict(list)
        self.errors: dict[str, BaseException] = {}
        self._catalog, self._nodes = catalog, nodes
        self._thread = threading.get_ident()

    def note(self, hook: str, node: Any, *facts: Any, catalog: Any = None) -> None:
        here = (
            threading.get_ident() == self._thread,
            node is self._nodes[node.name],
            catalog is None or catalog is self._catalog,
        )
        self.calls[node.name].append((hook, here, *facts))

    @hook_impl
    def before_node_run(self, node, catalog, inputs, is_async, run_id):
        self.note("before_node_run", node, plain(inputs), is_async, run_id, catalog=catalog)

    @hook_impl
    def after_node_run(self, node, catalog, inputs, outputs, is_async, run_id):
        facts = plain(inputs), plain(outputs), is_async, run_id
        self.note("after_node_run", node, *facts, catalog=catalog)

    @hook_impl
    def on_node_error(self, error, node, catalog, inputs, is_async, run_id):
        self.errors[node.name] = error
        facts = look(error), plain(inputs), is_async, run_id
        self.note("on_node_error", node, *facts, catalog=catalog)

    @hook_impl
    def before_dataset_loaded(self, dataset_name, node):
        self.note("before_dataset_loaded", node, dataset_name)

    @hook_impl
    def after_dataset_loaded(self, dataset_name, data, node):
        self.note("after_dataset_loaded", node, dataset_name, plain(data))

    @hook_impl
    def before_dataset_saved(self, dataset_name, data, node):
        self.note("before_dataset_saved", node, dataset_name, plain(data))

    @hook_impl
    def after_dataset_saved(self, dataset_name, data, node):
        self.note("after_dataset_saved", node, dataset_name, plain(data))


def plain(value: Any) -> Any:
    """Something that can be compared."""
    if isinstance(value, dict):
        return tuple((key, plain(each)) for key, each in sorted(value.items()))
    if isinstance(value, (Iterator, StaysWithNode)):
        return "<an iterator>"
    return (type(value).__name__, number(value))


def value_of(dataset: Any) -> Any:
    """What a dataset holds."""
    try:
        return plain(dataset.load())
    except DatasetError:
        return EMPTY


def look(error: BaseException | None) -> Any:
    """What can be compared of an exception: itself, its attributes, the end of its traceback."""
    if error is None:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    attributes = {name: v for name, v in vars(error).items() if name != "__notes__"}
    last = (Path(frames[-1].filename).name, frames[-1].lineno, frames[-1].name) if frames else None
    chain = look(error.__cause__), look(error.__context__), error.__suppress_context__
    return type(error), error.args, str(error), attributes, last, chain


class _Keeper(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@contextlib.contextmanager
def _records() -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []
    handler = _Keeper(records)
    former = logging.root.level, list(logging.root.handlers)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    try:
        yield records
    finally:
        logging.root.setLevel(former[0])
        logging.root.handlers[:] = former[1]


def _sort(records: list[logging.LogRecord], nodes: list[str], outcome: Outcome) -> None:
    """Give each record to its node; where there are no workers one node comes after the other."""
    from_workers = any(hasattr(record, WORKER_ATTRIBUTE) for record in records)
    begun: list[Any] = []
    waiting = list(nodes)
    for record in records:
        line = record.name, record.levelname, record.getMessage(), record.funcName
        if record.name.startswith("kedro.runner"):
            outcome.runners_logs.append((record.levelname, record.getMessage()))
            if record.getMessage().startswith("Completed node: "):
                name = record.getMessage().removeprefix("Completed node: ")
                waiting.remove(name)
                _add(outcome.logs, name, begun)
        elif hasattr(record, WORKER_ATTRIBUTE):
            outcome.logs.setdefault(record.__dict__[NODE_ATTRIBUTE], []).append(line)
        elif from_workers:
            outcome.logs.setdefault(HERE, []).append(line)
        else:
            begun.append(line)
    if begun:  # of a node that has failed: "Running node: NAME: ..."
        texts = [text for _, _, text, _ in begun if text.startswith("Running node: ")]
        _add(outcome.logs, texts[0].split(":")[1].strip() if texts else waiting[0], begun)


def _add(logs: dict[str, list[Any]], name: str, lines: list[Any]) -> None:
    if lines:
        logs.setdefault(name, []).extend(lines)
        lines.clear()
