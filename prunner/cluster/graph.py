"""The steps of a run as a Dask graph. Pure: it knows no cluster.

A task names what it runs as text: the scheduler needs neither prunner nor Kedro nor the project.

Covers: keys, dependencies, what a task carries, priorities and resources. Does not cover: what goes
out when (``state``).
"""

from __future__ import annotations

import operator
import pickle
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from toolz import apply

from prunner.bridge.data import INLINE_LIMIT
from prunner.bridge.refs import DataRef
from prunner.cluster.messages import StepPart
from prunner.planning.plan import RunPlan
from prunner.planning.policy import RunPolicy, StepPolicy
from prunner.processes.book import RunBook

# Not Dask's own apply: of that, releases before 2024.12 take the function as it is, not as a task.
_RUN = (pkgutil.resolve_name, "prunner.cluster.steps:run_step")
_UNPACK = (pkgutil.resolve_name, "prunner.cluster.steps:unpack_data")

Key = tuple[Any, ...]


class Place(NamedTuple):
    """Where in-memory data is.

    Attributes:
        key: The task that hands it on.
        position: Where in its result it is, ``None`` for all of it.
    """

    key: Key
    position: int | None


class Batch(NamedTuple):
    """What goes out at once.

    Attributes:
        tasks: The tasks by their keys.
        wanted: The keys that somebody but the tasks asks for, each with the steps that do; the
            client itself is one of these, as ``CLIENT``.
        priorities: More urgent ones have larger numbers.
        resources: What tasks need that only some workers have.
    """

    tasks: dict[Key, Any]
    wanted: dict[Key, set[int]]
    priorities: dict[Key, float]
    resources: dict[Key, Mapping[str, float]]


CLIENT = -1


class Graph:
    """Makes the tasks of one run.

    Args:
        plan: The plan of the run.
        book: What of the run goes to workers.
        labels: What the task of each step is called on Dask's dashboard.
        token: The run, among all that the cluster has seen.
        policy: The rules for steps that fail.
        uses: Names of all datasets of each step.
        copy_modes: How in-memory datasets are copied.
    """

    def __init__(  # noqa: PLR0913 - what a graph is made of
        self,
        plan: RunPlan,
        book: RunBook,
        labels: Mapping[int, str],
        token: str,
        policy: RunPolicy,
        uses: Mapping[int, tuple[str, ...]],
        copy_modes: Mapping[str, str | None],
    ) -> None:
        self._plan = plan
        self._book = book
        self._labels = {step: _label(text) for step, text in labels.items()}
        self._token = token
        self._policy = policy
        self._uses = uses
        self._copy_modes = copy_modes
        self._consumers: defaultdict[str, list[int]] = defaultdict(list)
        for step in plan.steps:
            for name in dict.fromkeys(step.inputs):
                self._consumers[name].append(step.index)
        self.places: dict[str, Place] = {}  # of in-memory data that tasks hand on
        self._ends: dict[int, Key] = {}  # a task of each step that hands on nothing large

    def step_of(self, key: Any) -> int | None:
        """The step whose task has this key; ``None`` for any other key."""
        is_ours = isinstance(key, tuple) and len(key) > 1 and str(key[0]).endswith(self._token)
        return key[1] if is_ours and isinstance(key[1], int) else None

    def policy_of(self, step: int) -> StepPolicy:
        """The rules for a step."""
        return self._policy.of(step)

    def batch(
        self,
        steps: Iterable[int],
        refs: Mapping[str, DataRef],
        held: Mapping[Key, Any],
        outside: Iterable[int],
    ) -> Batch:
        """Make the tasks of some steps.

        Args:
            steps: The steps, each one behind those that it waits for.
            refs: In-memory data of the client's.
            held: Dask's futures of earlier tasks.
            outside: Steps that have gone out or ended before.
        """
        batch, before = Batch({}, {}, {}, {}), set(outside)
        steps = tuple(steps)
        known = before.union(steps)
        for index in steps:
            self._add(index, batch, refs, held)
        for index in steps:
            self._want(index, batch, known)
        return batch

    def _add(
        self,
        index: int,
        batch: Batch,
        refs: Mapping[str, DataRef],
        held: Mapping[Key, Any],
    ) -> None:
        step, key = self._plan.steps[index], self._key(index)
        outputs, literals = self.handed_on(index), {}
        inputs, values = [], []
        for name in dict.fromkeys(step.inputs):
            packed = refs[name].inline if name in refs else None
            if packed is not None and len(packed) <= INLINE_LIMIT:
                literals[name] = packed
                continue
            if packed is not None:
                self._add_data(name, packed, step.rank, batch)
            place = self.places.get(name)
            if place is not None:
                inputs.append((name, place.position))
                values.append(held.get(place.key, place.key))
        for parent in sorted(step.parents):
            end = self._ends.get(parent)
            if end is not None and not self._hands_to(parent, index):
                values.append(held.get(end, end))
        part = self._part(index, tuple(inputs), outputs, literals)
        pickled = pickle.dumps(tuple(part), pickle.HIGHEST_PROTOCOL)
        batch.tasks[key] = (apply, _RUN, self._token, pickled, *values)
        self._note(key, step.rank, index, batch)
        self._hand_on(index, key, outputs, batch)

    def _hand_on(self, index: int, key: Key, outputs: tuple[str, ...], batch: Batch) -> None:
        """Note where the in-memory data of a step is, with tasks that take it apart."""
        if len(outputs) == 1:
            self.places[outputs[0]] = Place(key, None)
        elif self._go_together(outputs):
            self.places.update({name: Place(key, i) for i, name in enumerate(outputs)})
        else:
            for i, name in enumerate(outputs):
                single = (*key, i)
                batch.tasks[single] = (operator.getitem, key, i)
                self._note(single, self._plan.steps[index].rank, None, batch)
                self.places[name] = Place(single, None)
        step = self._plan.steps[index]
        self._ends[index] = key
        if outputs and not all(self._hands_to(index, child) for child in step.children):
            # Who waits for the step only, because of a file, is not to get its data.
            self._ends[index] = (*key, "end")
            batch.tasks[self._ends[index]] = (operator.is_, key, None)
            self._note(self._ends[index], step.rank, None, batch)

    def _add_data(self, name: str, packed: bytes, rank: float, batch: Batch) -> None:
        """Let data of the client's be a task of its own, which can be made again."""
        key = f"data-{self._token}", name
        self.places[name] = Place(key, None)
        batch.tasks[key] = (apply, _UNPACK, packed)
        self._note(key, max(rank, batch.priorities.get(key, rank)), None, batch)

    def _want(self, index: int, batch: Batch, known: set[int]) -> None:
        """Note what of a step somebody but tasks asks for."""
        step, plan = self._plan.steps[index], self._plan
        for name in self.handed_on(index):
            if name in plan.kept_outputs:
                batch.wanted.setdefault(self.places[name].key, set()).add(CLIENT)
            for child in self._consumers[name]:
                if child not in known:
                    batch.wanted.setdefault(self.places[name].key, set()).add(child)
        for child in step.children:
            if child not in known and not self._hands_to(index, child):
                batch.wanted.setdefault(self._ends[index], set()).add(child)
        if not step.children:
            batch.wanted.setdefault(self._ends[index], set()).add(CLIENT)

    def _part(
        self,
        index: int,
        inputs: tuple[tuple[str, int | None], ...],
        outputs: tuple[str, ...],
        literals: Mapping[str, bytes],
    ) -> StepPart:
        book, names = self._book, self._uses[index]
        function, rest = book.nodes[index]
        return StepPart(
            step=index,
            node=(function, rest),
            datasets={name: book.datasets[name] for name in names if name in book.datasets},
            in_memory={n: self._copy_modes.get(n) for n in names if n in book.in_memory},
            inputs=inputs,
            literals=literals,
            outputs=outputs,
            policy=self._policy.of(index),
        )

    def _note(self, key: Key, rank: float, index: int | None, batch: Batch) -> None:
        batch.priorities[key] = rank
        needs = None if index is None else self._policy.of(index).resources
        if needs:
            batch.resources[key] = dict(needs)

    def handed_on(self, index: int) -> tuple[str, ...]:
        """The in-memory outputs of a step that somebody asks for."""
        plan = self._plan
        return tuple(
            name
            for name in plan.steps[index].outputs
            if name in plan.in_memory and (self._consumers[name] or name in plan.kept_outputs)
        )

    def _hands_to(self, parent: int, child: int) -> bool:
        return not set(self.handed_on(parent)).isdisjoint(self._plan.steps[child].inputs)

    def _go_together(self, names: tuple[str, ...]) -> bool:
        """True if these are needed by the same steps, so that they may be kept together."""
        if not self._plan.kept_outputs.isdisjoint(names):
            return False
        return len({frozenset(self._consumers[name]) for name in names}) == 1

    def _key(self, index: int) -> Key:
        return f"{self._labels[index]}-{self._token}", index


def _label(text: str) -> str:
    # Dask takes what stands before the first "-" and digits for the kind of a task.
    return re.sub(r"\W+", "_", text) or "node"
