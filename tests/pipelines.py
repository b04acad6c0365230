"""Random pipelines for Hypothesis, as descriptions that show how a failing example came about.

``pipelines()`` draws a ``Case``; ``case.pipeline()`` and ``case.catalog(folder)`` make a new
pipeline and a new catalog of it, as often as they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from kedro.io import AbstractDataset, DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro_datasets.json import JSONDataset
from kedro_datasets.pickle import PickleDataset

from prunner.processes.book import MAIN_TAG
from tests import random_nodes

_PERSISTENT = {"pickle": PickleDataset, "json": JSONDataset}
_ANYWHERE = ("default", "memory", "pickle", "transcoded")


@dataclass(frozen=True)
class NodeCase:
    """One node: the names of its function and datasets."""

    name: str
    function: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    main: bool = False

    def node(self) -> Node:
        function: Callable[..., Any] = getattr(random_nodes, self.function)
        return Node(
            random_nodes.Stuck() if self.function == "Stuck" else function,
            list(self.inputs),
            self.outputs[0] if len(self.outputs) == 1 else list(self.outputs) or None,
            name=self.name,
            tags=[MAIN_TAG] if self.main else [],
        )


@dataclass(frozen=True)
class Case:
    """A pipeline, the values that it starts from, and the kind of each of its datasets."""

    nodes: tuple[NodeCase, ...]
    values: Mapping[str, Any]
    kinds: Mapping[str, str]

    def pipeline(self) -> Pipeline:
        return Pipeline([each.node() for each in self.nodes])

    def catalog(self, folder: Path) -> DataCatalog:
        """A catalog with the starting values, whose files are in a folder."""
        datasets = {}
        for name, kind in self.kinds.items():
            dataset = _dataset(name, kind, folder)
            if dataset is not None:
                datasets[name] = dataset
        for name, value in self.values.items():
            if name in datasets:
                datasets[name].save(value)
            else:
                datasets[name] = MemoryDataset(value)
        return DataCatalog(datasets)

    def failing(self) -> NodeCase | None:
        return next((each for each in self.nodes if each.function.startswith("fail")), None)


def _dataset(name: str, kind: str, folder: Path) -> AbstractDataset[Any, Any] | None:
    path = (folder / name.partition("@")[0].replace(":", "-")).as_posix()
    if kind in _PERSISTENT:
        dataset: AbstractDataset[Any, Any] = _PERSISTENT[kind](filepath=path)
        return dataset
    if kind == "default":
        return None
    return MemoryDataset(copy_mode="assign" if kind == "handle" else None)


@st.composite
def pipelines(draw: st.DrawFn, max_nodes: int = 8, may_fail: bool = False) -> Case:
    """Draw a case.

    Args:
        draw: Given by Hypothesis.
        max_nodes: The number of nodes at most.
        may_fail: Whether one node may raise.
    """
    drawing = _Drawing(draw)
    for index in range(draw(st.integers(1, max_nodes))):
        drawing.add_node(index)
    if may_fail and draw(st.booleans()):
        drawing.let_one_fail()
    order = draw(st.permutations(drawing.nodes))
    return Case(tuple(order), drawing.values, drawing.kinds)


class _Drawing:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.nodes: list[NodeCase] = []
        self.kinds: dict[str, str] = {}
        self.values: dict[str, Any] = {"params:p": draw(st.integers(0, 99)), "parameters": 5}
        self.available = ["params:p", "parameters"]
        for index in range(draw(st.integers(0, 2))):
            self._add_input(f"raw{index}")

    def add_node(self, index: int) -> None:
        inputs = self.draw(st.lists(st.sampled_from(self.available), max_size=4))
        count = self.draw(st.sampled_from([0, 1, 1, 1, 2, 3] if inputs else [1, 2, 3]))
        makers = [maker.__name__ for maker in random_nodes.MAKERS[count]]
        if count == 1:
            makers += ["Stuck", "handle"]
        function = self.draw(st.sampled_from(makers))
        outputs = tuple(self._add_output(f"d{index}_{i}", function) for i in range(count))
        main = function == "handle" or self.draw(st.integers(0, 4)) == 0
        self.nodes.append(NodeCase(f"n{index}", function, tuple(inputs), outputs, main))

    def let_one_fail(self) -> None:
        index = self.draw(st.integers(0, len(self.nodes) - 1))
        victim = self.nodes[index]
        failures = ["fail", "fail_strangely", "fail_in_a_chain"]
        if len(victim.outputs) == 1:
            failures.append("fail_late")
        function = self.draw(st.sampled_from(failures))
        inputs, outputs = victim.inputs or ("parameters",), victim.outputs
        self.nodes[index] = NodeCase(victim.name, function, inputs, outputs, victim.main)

    def _add_input(self, name: str) -> None:
        value = self.draw(st.one_of(st.integers(0, 99), st.lists(st.integers(0, 9), max_size=3)))
        self.values[name] = value
        self.kinds[name] = self.draw(st.sampled_from(["default", "memory", "pickle", "json"]))
        self.available.append(name)

    def _add_output(self, name: str, function: str) -> str:
        """Choose what kind the dataset is; return the name by which it is saved."""
        if function == "handle":
            kind = "handle"
        else:
            kind = self.draw(st.sampled_from((*_ANYWHERE, *(["json"] * (function != "array")))))
        if kind == "transcoded":
            self.kinds |= {f"{name}@save": "pickle", f"{name}@load": "pickle"}
            self.available.append(f"{name}@load")
            return f"{name}@save"
        self.kinds[name] = kind
        self.available.append(name)
        return name
