"""One case: a graph with faults and the options of its run, and what is made of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline

from prunner import ParallelRunner
from prunner.processes.book import MAIN_TAG
from tests.chaos.faults import DEATHS, HANGS, Fault, OrdinaryFault
from tests.chaos.nodes import FileDataset, StuckWork, Work, WorkerIdDataset, work

# By their names, as the random choice and the command line have them.
RETRY_ON: dict[str, tuple[type[BaseException], ...]] = {
    "nothing": (),
    "ordinary": (OrdinaryFault,),
    "data": (OrdinaryFault, DatasetError),
    "all": (Exception,),
}


@dataclass
class NodeCase:
    """One node.

    Attributes:
        name: Its name.
        inputs: The datasets that it loads, beside what it has to do.
        outputs: The kind of what each dataset that it saves is made of, by name.
        stays: Why it runs in the main process: ``tag``, ``function``, ``input`` or not at all.
        delay: Seconds that it takes.
        fault: What happens to it.
        fault_at: The dataset at which that happens, unless it is the node's function.
    """

    name: str
    inputs: list[str]
    outputs: dict[str, str]
    stays: str = ""
    delay: float = 0.0
    fault: Fault | None = None
    fault_at: str = ""

    def node(self) -> Node:
        return Node(
            StuckWork() if self.stays == "function" else work,
            [f"params:{self.name}", *self.inputs],
            next(iter(self.outputs)) if len(self.outputs) == 1 else list(self.outputs) or None,
            name=self.name,
            tags=[MAIN_TAG] if self.stays == "tag" else [],
        )

    def __str__(self) -> str:
        made = ", ".join(f"{name} ({kind})" for name, kind in self.outputs.items())
        where = f", stays: {self.stays}" if self.stays else ""
        fault = f"; {self.fault} {self.fault_at}" if self.fault else ""
        return f"{self.name}: {', '.join(self.inputs)} -> {made}{where}{fault}"


@dataclass
class Options:
    """The runner's."""

    workers: int = 1
    is_async: bool = False
    keep_going: bool = False
    retries: int = 0
    retry_on: str = "nothing"
    retry_delay: float = 0.0
    idle_timeout: float = 300.0
    node_options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def runner(self, start_method: str) -> ParallelRunner:
        return ParallelRunner(
            max_workers=self.workers,
            is_async=self.is_async,
            start_method=start_method,
            idle_timeout=self.idle_timeout,
            on_error="continue" if self.keep_going else "stop",
            retries=self.retries,
            retry_on=RETRY_ON[self.retry_on],
            retry_delay=self.retry_delay,
            node_options=self.node_options,
        )

    def retries_of(self, node: str) -> int:
        return int(self.node_options.get(node, {}).get("retries", self.retries))


@dataclass
class Case:
    """A graph, where its datasets are, and how it is run.

    Attributes:
        nodes: In an order in which they could run.
        kinds: ``memory``, ``assigned``, ``file`` or ``worker id``, by dataset; others are nowhere.
        values: What the graph starts from.
        options: The runner's.
        has_hooks: Whether hooks are registered though no fault needs them.
    """

    nodes: list[NodeCase]
    kinds: dict[str, str]
    values: dict[str, int]
    options: Options
    has_hooks: bool = False

    def pipeline(self) -> Pipeline:
        return Pipeline([each.node() for each in self.nodes])

    def faults(self) -> Iterator[Fault]:
        return (each.fault for each in self.nodes if each.fault is not None)

    def node(self, name: str) -> NodeCase:
        return next(each for each in self.nodes if each.name == name)

    def below(self, names: set[str]) -> set[str]:
        """All nodes that depend on these."""
        found: set[str] = set()
        made = {output for name in names for output in self.node(name).outputs}
        for each in self.nodes:
            if made.intersection(each.inputs):
                found.add(each.name)
                made.update(each.outputs)
        return found

    def failing(self) -> set[str]:
        """The nodes that fail for good if they run."""
        return {each.name for each in self.nodes if each.fault and not self._recovers(each)}

    def _recovers(self, node: NodeCase) -> bool:
        assert node.fault is not None
        return node.fault.once and self.is_tried_again(node)

    def is_tried_again(self, node: NodeCase) -> bool:
        """Whether the options say so for what happens to a node."""
        fault = node.fault
        assert fault is not None
        if not self.options.retries_of(node.name):
            return False
        if fault.kind in (*DEATHS, *HANGS):
            return True
        chosen = RETRY_ON[self.options.retry_on]
        raised = fault.raises
        if fault.place != "run" or raised is None:
            raised = DatasetError if raised is None or issubclass(raised, Exception) else raised
        return issubclass(raised, chosen)

    def catalog(self, folder: Path, with_faults: bool = True) -> DataCatalog:
        """A new catalog with the starting values, whose files are in a folder."""
        armed = self.armed(folder) if with_faults else {}
        datasets: dict[str, Any] = {}
        at = {each.fault_at: armed[each.name] for each in self.nodes if each.name in armed}
        for name, kind in self.kinds.items():
            datasets[name] = _dataset(name, kind, folder, at.get(name))
        for name, value in self.values.items():
            self._start_with(datasets, name, value, at)
        for each in self.nodes:
            datasets[f"params:{each.name}"] = MemoryDataset(self._work(each, at, armed))
        return DataCatalog(datasets)

    def armed(self, folder: Path) -> dict[str, Fault]:
        return {
            fault.node: replace(
                fault, mark=str(folder / f"{fault.node}.mark"), main_pid=os.getpid()
            )
            for fault in self.faults()
        }

    def _start_with(
        self, datasets: dict[str, Any], name: str, value: int, at: Mapping[str, Fault]
    ) -> None:
        known = datasets.get(name)
        if isinstance(known, FileDataset):
            known.put(value)
        elif known is None or isinstance(known, MemoryDataset):
            # A parcel in any case: the results are those of a run without its fault.
            made = work(Work(name, ("parcel",), faults=((0, at[name]),) if name in at else ()))
            datasets[name] = MemoryDataset(made)

    def _work(self, node: NodeCase, at: Mapping[str, Fault], armed: Mapping[str, Fault]) -> Work:
        own = armed.get(node.name)
        return Work(
            node=node.name,
            makes=tuple(node.outputs.values()),
            delay=node.delay,
            fault=own if own is not None and own.place == "run" else None,
            faults=tuple((i, at[name]) for i, name in enumerate(node.outputs) if name in at),
        )

    def __str__(self) -> str:
        hooks = ", with hooks" if self.has_hooks else ""
        return "\n".join([f"{self.options}{hooks}", *(f"  {each}" for each in self.nodes)])


def _dataset(name: str, kind: str, folder: Path, fault: Fault | None) -> AbstractDataset[Any, Any]:
    match kind:
        case "file":
            return FileDataset(str(folder / name.replace(" ", "_")), fault)
        case "worker id":
            return WorkerIdDataset()
        case "assigned":
            return MemoryDataset(copy_mode="assign")
        case _:
            return MemoryDataset()
