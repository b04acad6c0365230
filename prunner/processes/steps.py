"""Runs the steps of one run inside a worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Protocol

from kedro.pipeline.node import Node
from kedro.runner import Task

from prunner import kedro_internals
from prunner.bridge.data import Exchange, ExchangeDataset
from prunner.bridge.failure import Failures
from prunner.bridge.hooks import HookRelay
from prunner.bridge.link import Link
from prunner.bridge.logs import LogRelay
from prunner.bridge.messages import (
    BeginRun,
    EndRun,
    Failed,
    Finished,
    HookCall,
    HookReply,
    Ready,
    Returned,
    RunStep,
)
from prunner.bridge.phases import PhaseWatch
from prunner.bridge.prints import end_lines
from prunner.bridge.refs import DataRef
from prunner.bridge.shelf import Shelf
from prunner.bridge.worker_hooks import local_hook_manager
from prunner.planning.policy import is_one_of
from prunner.processes.book import PackedNode, RunBook, datasets_of, unpack_node, unpickled
from prunner.processes.orders import Orders


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
        self._relay = HookRelay(begin.hooks, self._ask)
        self._watch = PhaseWatch(self._relay)
        self._saved_here: set[str] = set()
        self._functions: dict[int, Callable[..., Any]] = {}
        self._made: dict[int, Mapping[str, DataRef]] = {}

    def run(self, message: RunStep) -> Finished | Failed | Returned:
        """Run one step.

        Args:
            message: Which step, and the in-memory data that it loads.

        Returns:
            What to tell the parent.
        """
        if not self._made.keys() >= set(message.after):
            # What it was to follow has failed, or ended so long ago that the parent knows the data.
            return Returned((message.step,))
        inputs = dict(message.inputs)
        for parent in message.after:
            inputs.update(self._made[parent])
        begin = perf_counter()
        answer = self._run(message.step, inputs)
        seconds = perf_counter() - begin
        if isinstance(answer, Failed):
            return answer._replace(seconds=seconds, times=self._watch.times)
        self._made[message.step] = answer
        times = self._watch.times if self._begin.is_timed else None
        return Finished(message.step, answer, seconds, times)

    def forget(self) -> None:
        """No step follows at once: what comes next will be told what it needs."""
        self._made.clear()

    def _run(self, step: int, inputs: Mapping[str, DataRef]) -> dict[str, DataRef] | Failed:
        """Run one step; the in-memory datasets that it saved, or what it raised."""
        shelf, failures = Shelf(self._exchange), Failures()
        in_memory: dict[str, ExchangeDataset] = {}

        def saved() -> dict[str, DataRef]:
            refs = {name: each.ref for name, each in in_memory.items() if name not in inputs}
            return {name: ref for name, ref in refs.items() if ref is not None}

        self._watch.begin_step()
        try:
            book = self._open_book()
            self._relay.begin_step(step, shelf, failures, saved)
            self._execute(self._prepare(book, step, inputs, shelf, in_memory))
            return saved()
        except BaseException as error:
            failure = failures.capture(error)
            may_retry = is_one_of(error, self._begin.policy.of(step).retry_on)
            return Failed(step, failure, self._watch.phase, os.getpid(), saved(), may_retry)
        finally:
            kedro_internals.drop_datasets(self._catalog, in_memory)
            shelf.clear()
            end_lines()

    def _execute(self, node: Node) -> None:
        task = Task(
            node=node,
            catalog=self._catalog,
            is_async=self._begin.is_async,
            hook_manager=self._watch,  # type: ignore[arg-type]
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
            with self._logs.kept():
                book: RunBook = self._exchange.get(self._begin.book)
                self._catalog = unpickled("the catalog", book.catalog)
                if self._begin.worker_hooks is not None:
                    plugins = unpickled("the hooks of workers", self._begin.worker_hooks)
                    local = local_hook_manager(plugins)
                    self._relay = HookRelay(self._begin.hooks, self._ask, local)
                    self._watch = PhaseWatch(self._relay)
            self._book = book
        return self._book

    def _prepare(
        self,
        book: RunBook,
        step: int,
        inputs: Mapping[str, DataRef],
        shelf: Shelf,
        in_memory: dict[str, ExchangeDataset],
    ) -> Node:
        """Put all datasets of a node into the catalog, and note those that live in memory."""
        node = self._node(PackedNode(*book.nodes[step]))
        for name in datasets_of(node):
            if name in book.in_memory:
                in_memory[name] = ExchangeDataset(name, shelf, inputs.get(name))
                kedro_internals.add_dataset(self._catalog, name, in_memory[name])
                continue
            self._add_dataset(book, name)
            if name in book.internal and name in node.inputs and name not in self._saved_here:
                # Another process saved it: forget what was listed or resolved before that.
                self._catalog.release(name)
        return node

    def _node(self, packed: PackedNode) -> Node:
        if packed.function is None:
            with self._logs.kept():
                node: Node = unpickled("the node", packed.rest)
            return node
        if packed.function not in self._functions:
            assert self._book is not None
            with self._logs.kept():
                function = unpickled("the node", self._book.functions[packed.function])
            self._functions[packed.function] = function
        return unpack_node(packed, self._functions[packed.function])

    def _add_dataset(self, book: RunBook, name: str) -> None:
        known = kedro_internals.dataset_itself(self._catalog, name) is not None
        if known or name not in book.datasets:
            return
        with self._logs.kept():
            dataset = unpickled(f"dataset '{name}'", book.datasets[name])
        kedro_internals.add_dataset(self._catalog, name, dataset)

    def _ask(self, call: HookCall) -> HookReply:
        with self._asking:
            self._link.send(call)
            reply: HookReply = self._link.receive()
            return reply


class Host(Protocol):
    """The process in which steps run."""

    def begin(self, run: BeginRun) -> None:
        """Set up what differs between runs."""

    def at_rest(self) -> Ready:
        """Say what is left of a run that has ended."""


def serve_steps(orders: Orders, link: Link, logs: LogRelay, host: Host) -> None:
    """Carry out orders until the parent says stop.

    Args:
        orders: What the parent wants.
        link: The connection to the parent.
        logs: Sends what is logged to the parent.
        host: The process that this is.
    """
    runner: StepRunner | None = None
    while True:
        match orders.next():
            case BeginRun() as begin:
                host.begin(begin)
                runner = StepRunner(begin, link, logs)
            case RunStep() as step:
                assert runner is not None
                answer = runner.run(step)
                link.send(answer)
                if isinstance(answer, Failed):
                    orders.give_back()
                if orders.has_none():
                    runner.forget()
            case EndRun():
                runner = None
                link.send(host.at_rest())
            case _:  # STOP
                return
