"""One try of one step, in a worker of a cluster: load, run, save; hooks and logs for the client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from dask.sizeof import sizeof
from kedro.io import MemoryDataset
from kedro.runner import Task

from prunner import kedro_internals
from prunner.bridge.failure import Failures
from prunner.bridge.hooks import HookRelay
from prunner.bridge.messages import HookCall, HookReply
from prunner.bridge.phases import PhaseWatch
from prunner.bridge.refs import DataRef
from prunner.bridge.shelf import Shelf
from prunner.cluster.deadline import Deadline
from prunner.cluster.held import HeldDataset
from prunner.cluster.messages import (
    Asked,
    StepDone,
    StepFault,
    StepPart,
)
from prunner.cluster.parcel import Parcel, opened
from prunner.cluster.questions import AbandonedError
from prunner.errors import DataTransferError
from prunner.planning.policy import is_one_of
from prunner.processes.book import PackedNode, datasets_of, unpack_node, unpickled

if TYPE_CHECKING:
    from kedro.pipeline.node import Node

    from prunner.cluster.steps import WorkerRun


class Attempt:
    """One try of one step.

    Args:
        run: The run.
        part: The step.
    """

    def __init__(self, run: WorkerRun, part: StepPart) -> None:
        self._run = run
        self._part = part
        self._asking = threading.Lock()
        self._thread = threading.get_ident()
        self._in_memory: dict[str, MemoryDataset] = {}
        self._sizes: dict[str, int] = {}
        self._failures = Failures()
        self._shelf = Shelf(run.lending)
        self._deadline = Deadline(run, part)
        self._watch = PhaseWatch(_NoSaves(self._is_over))  # for what goes wrong before there is one

    def run(self, values: Sequence[Any], tries: int) -> StepDone | StepFault:
        """Run it.

        Args:
            values: What the task gets of others.
            tries: Which try this is, from 1.

        Returns:
            What to tell the client.
        """
        began = perf_counter()
        try:
            self._execute(values)
        except BaseException as error:
            failure = self._failures.capture(error)
            delay = self._delay(error, tries)
            seconds, phase = perf_counter() - began, self._watch.phase
            return StepFault(self._part.step, failure, phase, seconds, self._watch.times, delay)
        finally:
            self._shelf.clear()
            self._run.forget_saved(self._part)
        seconds = perf_counter() - began
        return StepDone(self._part.step, seconds, self._watch.times, self._sizes)

    def result(self) -> Any:
        """The in-memory data that others need."""
        values = tuple(
            kedro_internals.memory_value(self._in_memory[name]) for name in self._part.outputs
        )
        parcels = tuple(Parcel(None if v is kedro_internals.NO_DATA else v) for v in values)
        return parcels[0] if len(parcels) == 1 else parcels or None

    def _execute(self, values: Sequence[Any]) -> None:
        run, part = self._run, self._part
        relay = HookRelay(run.told.hooks, self._ask, run.local_hooks())
        self._watch = PhaseWatch(_NoSaves(self._is_over, relay))
        relay.begin_step(part.step, self._shelf, self._failures, self._saved_so_far)
        catalog = run.catalog()
        node = self._node()
        self._fill(catalog, node, values)
        task = Task(
            node=node,
            catalog=catalog,
            is_async=run.told.is_async,
            hook_manager=self._watch,  # type: ignore[arg-type]
            run_id=run.told.run_id,
        )
        with run.logs_of(node.name), self._deadline:
            task.execute()
        run.saved_here.update(node.outputs)
        for name in part.outputs:
            value = kedro_internals.memory_value(self._in_memory[name])
            self._sizes[name] = sizeof(value)

    def _node(self) -> Node:
        packed = PackedNode(*self._part.node)
        if packed.function is None:
            node: Node = unpickled("the node", packed.rest)
            return node
        return unpack_node(packed, self._run.function(packed.function))

    def _fill(self, catalog: Any, node: Node, values: Sequence[Any]) -> None:
        """Put all datasets of the node into a catalog."""
        part, run = self._part, self._run
        data = self._data(values)
        for name in datasets_of(node):
            if name in part.in_memory:
                dataset = HeldDataset(part.in_memory[name])
                if name in data:
                    dataset._data = data[name]
                self._in_memory[name] = dataset
                if name in node.outputs:
                    run.saved[part.step, name] = dataset
                kedro_internals.add_dataset(catalog, name, dataset)
            elif name in part.datasets:
                self._add_dataset(catalog, node, name)

    def _data(self, values: Sequence[Any]) -> dict[str, Any]:
        """The in-memory data that the node loads."""
        found = {name: opened(packed) for name, packed in self._part.literals.items()}
        for (name, position), value in zip(self._part.inputs, values, strict=False):
            parcel: Parcel = value if position is None else value[position]
            try:
                found[name] = parcel.open()
            except DataTransferError as error:
                raise DataTransferError(f"in-memory dataset '{name}': {error}") from error
        return found

    def _add_dataset(self, catalog: Any, node: Node, name: str) -> None:
        run = self._run
        if name not in run.datasets:
            run.datasets[name] = unpickled(f"dataset '{name}'", self._part.datasets[name])
        kedro_internals.add_dataset(catalog, name, run.datasets[name])
        if name in run.told.internal and name in node.inputs and name not in run.saved_here:
            # Another process saved it: forget what was listed or resolved before that.
            catalog.release(name)

    def _saved_so_far(self) -> Mapping[str, DataRef]:
        found = {}
        for name in self._part.outputs:
            value = kedro_internals.memory_value(self._in_memory[name])
            if value is not kedro_internals.NO_DATA:
                found[name] = DataRef(name, None, sizeof(value))
        return found

    def _ask(self, call: HookCall) -> HookReply:
        with self._asking, self._deadline.paused():
            reply = self._run.questions.ask(lambda number: Asked(number, call), self._thread)
        return HookReply(*reply)

    def _is_over(self) -> bool:
        return self._run.is_over(self._thread)

    def _delay(self, error: BaseException, tries: int) -> float | None:
        policy = self._part.policy
        if isinstance(error, AbandonedError) or tries > policy.retries:
            return None
        return policy.delay(tries) if is_one_of(error, policy.retry_on) else None


class _NoSaves:
    """The hooks of a step, before each of whose saves it is asked whether anybody wants it."""

    def __init__(self, is_over: Callable[[], bool], relay: Any = None) -> None:
        self._is_over = is_over
        self._relay = relay

    @property
    def hook(self) -> _NoSaves:
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._relay.hook, name)
        if name != "before_dataset_saved":
            return call

        def unless_ended(**arguments: Any) -> Any:
            if self._is_over():
                raise AbandonedError
            return call(**arguments)

        return unless_ended
