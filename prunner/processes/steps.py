"""Runs the steps of one run inside a worker."""

from __future__ import annotations

import contextlib
import pickle
import sys
import threading
from collections.abc import Mapping
from typing import Any

from kedro.pipeline.node import Node
from kedro.runner import Task

from prunner import kedro_internals
from prunner.bridge.data import DataRef, Exchange, ExchangeDataset
from prunner.bridge.failure import Failure
from prunner.bridge.hooks import HookRelay
from prunner.bridge.link import Link
from prunner.bridge.messages import BeginRun, Failed, Finished, HookCall, HookReply, RunStep
from prunner.errors import DataTransferError
from prunner.processes.book import MAIN_TAG, RunBook, datasets_of


class StepRunner:
    """The worker's side of one run.

    Args:
        begin: What the parent said of the run.
        link: The connection to the parent.
    """

    def __init__(self, begin: BeginRun, link: Link) -> None:
        self._begin = begin
        self._link = link
        self._asking = threading.Lock()
        self._exchange = Exchange(begin.folders)
        self._hooks = HookRelay(begin.hooks, self._exchange, self._ask)
        self._book: RunBook | None = None
        self._catalog: Any = None
        self._saved_here: set[str] = set()

    def run(self, message: RunStep) -> Finished | Failed:
        """Run one step.

        Args:
            message: Which step, and the in-memory data that it loads.

        Returns:
            What to tell the parent.
        """
        try:
            return Finished(message.step, self._execute(message.step, message.inputs))
        except BaseException as error:
            return Failed(message.step, Failure.capture(error))
        finally:
            _flush()

    def _execute(self, step: int, inputs: Mapping[str, DataRef]) -> dict[str, DataRef]:
        book = self._open_book()
        node: Node = _unpickle("the node", book.nodes[step])
        in_memory = self._prepare(node, book, inputs)
        self._hooks.step = step
        Task(
            node=node,
            catalog=self._catalog,
            is_async=self._begin.is_async,
            hook_manager=self._hooks,  # type: ignore[arg-type]
            run_id=self._begin.run_id,
        ).execute()
        self._saved_here.update(node.outputs)
        return {
            name: dataset.ref
            for name in node.outputs
            if (dataset := in_memory.get(name)) is not None and dataset.ref is not None
        }

    def _open_book(self) -> RunBook:
        if self._book is None:
            book: RunBook = self._exchange.get(self._begin.book)
            self._catalog = _unpickle("the catalog", book.catalog)
            self._book = book
        return self._book

    def _prepare(
        self, node: Node, book: RunBook, inputs: Mapping[str, DataRef]
    ) -> dict[str, ExchangeDataset]:
        """Put all datasets of a node into the catalog; return those that live in memory."""
        in_memory = {}
        for name in datasets_of(node):
            if name in book.in_memory:
                in_memory[name] = ExchangeDataset(name, self._exchange, inputs.get(name))
                kedro_internals.add_dataset(self._catalog, name, in_memory[name])
                continue
            if name in book.datasets and not kedro_internals.has_dataset(self._catalog, name):
                dataset = _unpickle(f"dataset '{name}'", book.datasets[name])
                kedro_internals.add_dataset(self._catalog, name, dataset)
            if name in book.internal and name in node.inputs and name not in self._saved_here:
                # Another process saved it: forget what was listed or resolved before that.
                self._catalog.release(name)
        return in_memory

    def _ask(self, call: HookCall) -> HookReply:
        with self._asking:
            self._link.send(call)
            reply: HookReply = self._link.receive()
            return reply


def _unpickle(what: str, pickled: Any) -> Any:
    try:
        return pickle.loads(pickled)
    except Exception as error:
        raise DataTransferError(
            f"{what} could not be unpickled in a worker: {type(error).__name__}: {error}. Tag the "
            f"node with '{MAIN_TAG}' to run it in the main process."
        ) from error


def _flush() -> None:
    # What a node prints is seen when it ends, and not lost if the worker is killed later.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
