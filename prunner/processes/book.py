"""The book of a run: its nodes, datasets and catalog, written once and read by every worker.

Each node and each dataset is pickled by itself, so that a worker imports only what its own
steps need, and so that what cannot be pickled is found, by name, before anything runs.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import cloudpickle

from prunner import kedro_internals
from prunner.bridge.culprit import explain
from prunner.errors import DataTransferError

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

MAIN_TAG = "prunner.main"


class PackedNode(NamedTuple):
    """A node on its way to the workers.

    Attributes:
        function: Number of its function in the book; ``None`` where ``rest`` is the whole node.
        rest: The node without its function, or the whole node, pickled.
    """

    function: int | None
    rest: bytes


@dataclass(slots=True)
class RunBook:
    """What a worker has to know of a run.

    Attributes:
        catalog: The pickled catalog, without datasets.
        nodes: What each ``PackedNode`` consists of, by its step.
        functions: The pickled functions of nodes; nodes that call the same one share it.
        datasets: The pickled datasets by their names.
        in_memory: Names of datasets that live in memory only.
        internal: Names of datasets that one step of the run saves and another one loads.
        stuck: Datasets that cannot leave the parent, each with the reason; no worker needs it.
    """

    catalog: Any = b""
    nodes: Mapping[int, tuple[int | None, bytes]] = field(default_factory=dict)
    functions: list[Any] = field(default_factory=list)
    datasets: dict[str, Any] = field(default_factory=dict)
    in_memory: frozenset[str] = frozenset()
    internal: frozenset[str] = frozenset()
    stuck: dict[str, str] = field(default_factory=dict)

    def by_reference(self) -> RunBook:
        """The same book; its parts are written beside each other, not copied when read."""
        return RunBook(
            catalog=pickle.PickleBuffer(self.catalog),
            # Plain tuples are pickled ten times as fast as named ones.
            nodes={step: tuple(packed) for step, packed in self.nodes.items()},  # type: ignore[misc]
            functions=[pickle.PickleBuffer(part) for part in self.functions],
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
    used = [datasets_of(node) for node in pipeline.nodes]
    _add_datasets(book, pipeline, catalog, used)
    pinned: dict[int, str] = {}
    shell = catalog
    try:
        shell = kedro_internals.without_datasets(catalog)
        book.catalog = cloudpickle.dumps(shell)
    except Exception as error:
        why = explain(error, shell, cloudpickle.dumps)
        everywhere = f"the catalog ({type(catalog).__name__}) cannot be pickled: {why}"
        return book, dict.fromkeys(range(len(pipeline.nodes)), everywhere)
    pack = _NodePacker(book)
    nodes = {}
    for step, node in enumerate(pipeline.nodes):
        reason = _why_stuck(node, used[step], book.stuck)
        if reason is None:
            try:
                nodes[step] = pack(node)
                continue
            except Exception as error:
                reason = f"the node cannot be pickled: {_why_unpicklable(node, error)}"
        pinned[step] = reason
    book.nodes = nodes
    return book, pinned


class _NodePacker:
    """Packs nodes, each function once."""

    def __init__(self, book: RunBook) -> None:
        self._functions = book.functions
        self._numbers: dict[int, int] = {}

    def __call__(self, node: Node) -> PackedNode:
        rest = _plain_parts(node)
        if rest is None:
            return PackedNode(None, cloudpickle.dumps(node))
        key = id(node.func)
        if key not in self._numbers:
            self._functions.append(cloudpickle.dumps(node.func))
            self._numbers[key] = len(self._functions) - 1
        return PackedNode(self._numbers[key], rest)


def _plain_parts(node: Node) -> bytes | None:
    parts = kedro_internals.node_parts(node)
    if parts is None:
        return None
    try:
        # Ten times as fast as cloudpickle, and only for what can be read without an import.
        return marshal.dumps(parts)
    except ValueError:
        return None


def unpack_node(packed: PackedNode, function: Callable[..., Any]) -> Node:
    """Make a node of its function and the rest."""
    return kedro_internals.made_node(function, marshal.loads(packed.rest))  # noqa: S302 - our own


def _why_unpicklable(node: Node, error: Exception) -> str:
    try:
        cloudpickle.dumps(node.func)
    except Exception:
        # The user knows the function, not the attribute in which Kedro's node keeps it.
        return explain(error, node.func, cloudpickle.dumps, "func")
    return explain(error, node, cloudpickle.dumps)


def _add_datasets(
    book: RunBook,
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    used: Iterable[Iterable[str]],
) -> None:
    in_memory = set()
    confirmed_elsewhere = _confirmed_elsewhere(pipeline)
    for name in sorted(set().union(*used)):
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


def _why_stuck(node: Node, used: Iterable[str], stuck: dict[str, str]) -> str | None:
    if MAIN_TAG in node.tags:
        return f"it is tagged '{MAIN_TAG}'"
    return next((f"dataset '{name}': {stuck[name]}" for name in used if name in stuck), None)


def unpickled(what: str, pickled: Any) -> Any:
    """Make of a part of the book what it was, in a worker.

    Args:
        what: What it was, for the error.
        pickled: The part.

    Raises:
        DataTransferError: If it cannot be unpickled here.
    """
    try:
        return pickle.loads(pickled)
    except Exception as error:
        raise DataTransferError(
            f"{what} could not be unpickled in a worker: {type(error).__name__}: {error}. Tag the "
            f"node with '{MAIN_TAG}' to run it in the main process."
        ) from error
