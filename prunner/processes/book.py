"""The book of a run: its nodes, datasets and catalog, written once and read by every worker.

Each node and each dataset is pickled by itself, so that a worker imports only what its own
steps need, and so that what cannot be pickled is found, by name, before anything runs.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cloudpickle

from prunner import kedro_internals
from prunner.bridge.culprit import explain

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

MAIN_TAG = "prunner.main"


@dataclass(slots=True)
class RunBook:
    """What a worker has to know of a run.

    Attributes:
        catalog: The pickled catalog, without datasets.
        nodes: The pickled nodes by their step.
        datasets: The pickled datasets by their names.
        in_memory: Names of datasets that live in memory only.
        internal: Names of datasets that one step of the run saves and another one loads.
        stuck: Datasets that cannot leave the parent, each with the reason; no worker needs it.
    """

    catalog: Any = b""
    nodes: dict[int, Any] = field(default_factory=dict)
    datasets: dict[str, Any] = field(default_factory=dict)
    in_memory: frozenset[str] = frozenset()
    internal: frozenset[str] = frozenset()
    stuck: dict[str, str] = field(default_factory=dict)

    def by_reference(self) -> RunBook:
        """The same book; its parts are written beside each other, not copied when read."""
        return RunBook(
            catalog=pickle.PickleBuffer(self.catalog),
            nodes={step: pickle.PickleBuffer(part) for step, part in self.nodes.items()},
            datasets={name: pickle.PickleBuffer(part) for name, part in self.datasets.items()},
            in_memory=self.in_memory,
            internal=self.internal,
        )


def write_book(
    pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
) -> tuple[RunBook, dict[int, str]]:
    """Pickle what leaves the parent, and find what cannot.

    Args:
        pipeline: The pipeline to run.
        catalog: Its catalog, in which all datasets of the pipeline are materialized.

    Returns:
        The book, and the steps that must stay in the parent process, each with the reason.
    """
    book = RunBook(internal=frozenset(pipeline.all_inputs() - pipeline.inputs()))
    _add_datasets(book, pipeline, catalog)
    pinned: dict[int, str] = {}
    shell = catalog
    try:
        shell = kedro_internals.without_datasets(catalog)
        book.catalog = cloudpickle.dumps(shell)
    except Exception as error:
        why = explain(error, shell, cloudpickle.dumps)
        everywhere = f"the catalog ({type(catalog).__name__}) cannot be pickled: {why}"
        return book, dict.fromkeys(range(len(pipeline.nodes)), everywhere)
    for step, node in enumerate(pipeline.nodes):
        reason = _why_stuck(node, book.stuck) or _add_node(book, step, node)
        if reason is not None:
            pinned[step] = reason
    return book, pinned


def _add_node(book: RunBook, step: int, node: Node) -> str | None:
    try:
        book.nodes[step] = cloudpickle.dumps(node)
    except Exception as error:
        return f"the node cannot be pickled: {_why_unpicklable(node, error)}"
    return None


def _why_unpicklable(node: Node, error: Exception) -> str:
    try:
        cloudpickle.dumps(node.func)
    except Exception:
        # The user knows the function, not the attribute in which Kedro's node keeps it.
        return explain(error, node.func, cloudpickle.dumps, "func")
    return explain(error, node, cloudpickle.dumps)


def _add_datasets(book: RunBook, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    in_memory = set()
    confirmed_elsewhere = _confirmed_elsewhere(pipeline)
    for name in sorted({name for node in pipeline.nodes for name in datasets_of(node)}):
        dataset = catalog.get(name)
        if dataset is None:
            continue  # confirmed but unknown: the node fails as it does under SequentialRunner
        if name in confirmed_elsewhere:
            book.stuck[name] = "one node loads it and another one confirms what was loaded"
        elif kedro_internals.is_in_memory(dataset):
            in_memory.add(name)
        elif reason := kedro_internals.why_single_process(dataset):
            book.stuck[name] = reason
        else:
            try:
                book.datasets[name] = cloudpickle.dumps(dataset)
            except Exception as error:
                why = explain(error, dataset, cloudpickle.dumps)
                book.stuck[name] = f"it cannot be pickled: {why}"
    book.in_memory = frozenset(in_memory)


def _confirmed_elsewhere(pipeline: Pipeline) -> set[str]:
    # What is confirmed is the state of the dataset object that loaded, not that of a copy.
    return {name for node in pipeline.nodes for name in node.confirms if name not in node.inputs}


def datasets_of(node: Node) -> Iterable[str]:
    """Names of all datasets that a node loads, saves or confirms."""
    return dict.fromkeys([*node.inputs, *node.outputs, *node.confirms])


def _why_stuck(node: Node, stuck: dict[str, str]) -> str | None:
    if MAIN_TAG in node.tags:
        return f"it is tagged '{MAIN_TAG}'"
    return next(
        (f"dataset '{name}': {stuck[name]}" for name in datasets_of(node) if name in stuck), None
    )
