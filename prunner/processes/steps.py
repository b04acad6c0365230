"""Runs the steps of one run inside a worker."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any

from kedro.pipeline.node import Node
from kedro.runner import Task

from prunner import kedro_internals
from prunner.bridge.data import DataRef, Exchange, ExchangeDataset
from prunner.bridge.failure import Failures
from prunner.bridge.hooks import HookRelay
from prunner.bridge.link import Link
from prunner.bridge.logs import LogRelay
from prunner.bridge.messages import BeginRun, Failed, Finished, HookCall, HookReply, RunStep
from prunner.bridge.phases import PhaseWatch
from prunner.bridge.shelf import Shelf
from prunner.bridge.worker_hooks import local_hook_manager
from prunner.errors import DataTransferError
from prunner.processes.book import MAIN_TAG, RunBook, datasets_of

if TYPE_CHECKING:
    from pluggy import PluginManager


class StepRunner:
    """The worker's side of one run.

    Args:
        begin: What the parent said of the run.
        link: The connection to the parent.
        logs: Sends what is logged to the parent.
    """

    def __init__(self, begin: BeginRun, link: Link, logs: LogRelay) -> None:
        self._begin = begin
        self._link = link
        self._logs = logs
        self._asking = threading.Lock()
        self._exchange = Exchange(begin.folders)
        self._book: RunBook | None = None
        self._catalog: Any = None
        self._local_hooks: PluginManager | None = None
        self._saved_here: set[str] = set()

    def run(self, message: RunStep) -> Finished | Failed:
        """Run one step.

        Args:
            message: Which step, and the in-memory data that it loads.

        Returns:
            What to tell the parent.
        """
        shelf, failures = Shelf(self._exchange), Failures()
        in_memory: dict[str, ExchangeDataset] = {}

        def saved() -> dict[str, DataRef]:
            loaded = message.inputs.keys()
            refs = {name: each.ref for name, each in in_memory.items() if name not in loaded}
            return {name: ref for name, ref in refs.items() if ref is not None}

        relay = HookRelay(message.step, self._begin.hooks, shelf, failures, saved, self._ask)
        watch = PhaseWatch(relay)
        try:
            with self._logs.kept():
                node = self._prepare(message, shelf, relay, in_memory)
            self._execute(node, watch)
            return Finished(message.step, saved())
        except BaseException as error:
            failure = failures.capture(error)
            return Failed(message.step, failure, watch.phase, os.getpid(), saved())
        finally:
            shelf.clear()
            _flush()

    def _execute(self, node: Node, watch: PhaseWatch) -> None:
        task = Task(
            node=node,
            catalog=self._catalog,
            is_async=self._begin.is_async,
            hook_manager=watch,  # type: ignore[arg-type]
            run_id=self._begin.run_id,
        )
        self._logs.node = node.name
        try:
            task.execute()
        finally:
            self._logs.node = None
        self._saved_here.update(node.outputs)

    def _open_book(self) -> RunBook:
        if self._book is None:
            book: RunBook = self._exchange.get(self._begin.book)
            self._catalog = _unpickle("the catalog", book.catalog)
            if self._begin.worker_hooks is not None:
                plugins = _unpickle("the hooks of workers", self._begin.worker_hooks)
                self._local_hooks = local_hook_manager(plugins)
            self._book = book
        return self._book

    def _prepare(
        self,
        message: RunStep,
        shelf: Shelf,
        relay: HookRelay,
        in_memory: dict[str, ExchangeDataset],
    ) -> Node:
        """Put all datasets of a node into the catalog, and note those that live in memory."""
        book = self._open_book()
        relay.local = self._local_hooks
        node: Node = _unpickle("the node", book.nodes[message.step])
        for name in datasets_of(node):
            if name in book.in_memory:
                in_memory[name] = ExchangeDataset(name, shelf, message.inputs.get(name))
                kedro_internals.add_dataset(self._catalog, name, in_memory[name])
                continue
            if (
                name in book.datasets
                and kedro_internals.dataset_itself(self._catalog, name) is None
            ):
                dataset = _unpickle(f"dataset '{name}'", book.datasets[name])
                kedro_internals.add_dataset(self._catalog, name, dataset)
            if name in book.internal and name in node.inputs and name not in self._saved_here:
                # Another process saved it: forget what was listed or resolved before that.
                self._catalog.release(name)
        return node

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
