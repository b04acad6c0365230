"""The plan of a run: which steps there are, what each waits for, and who frees what.

Covers: order, dependencies, load counts, placement and the width of the graph.
Does not cover: when a step starts (``scheduler``), and anything that can be pickled,
started, written or measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunner.planning.width import width

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the pipeline, as the scheduler sees it.

    Attributes:
        index: Position in the topological order, the step's identity.
        name: Name of the node.
        inputs: Names of the datasets that it loads, with repetitions.
        outputs: Names of the datasets that it saves.
        parents: Steps that must have finished first.
        children: Steps that wait for this one.
        rank: Length of the longest path from here to an end, in seconds where durations are known,
            else in steps; larger is more urgent.
        function: Which function it calls: steps with the same number call the same one.
    """

    index: int
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parents: frozenset[int]
    children: tuple[int, ...]
    rank: float
    function: int = -1


@dataclass(frozen=True, slots=True)
class RunPlan:
    """All steps of a run in topological order, and what has to be known about its datasets.

    Attributes:
        steps: The steps; ``steps[i].index == i``.
        load_counts: How often each dataset is loaded during the run.
        kept_inputs: Datasets that come from outside and are not released after being loaded.
        kept_outputs: Datasets that the caller gets and that are not released after being saved.
        in_memory: Datasets that live in memory only and travel between processes.
        pinned: Steps that must run in the parent process, each with the reason.
        seconds: How long steps took in an earlier run, where that is known.
        needs: How much memory they needed then, in bytes.
    """

    steps: tuple[Step, ...]
    load_counts: Mapping[str, int]
    kept_inputs: frozenset[str]
    kept_outputs: frozenset[str]
    in_memory: frozenset[str]
    pinned: Mapping[int, str]
    seconds: Mapping[int, float] = field(default_factory=dict)
    needs: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def from_pipeline(
        cls,
        pipeline: Pipeline,
        in_memory: Iterable[str],
        pinned: Mapping[int, str],
        seconds: Mapping[int, float] | None = None,
        needs: Mapping[int, int] | None = None,
    ) -> RunPlan:
        """Make the plan of a pipeline.

        Args:
            pipeline: The pipeline as Kedro hands it to the runner.
            in_memory: Names of datasets that live in memory only.
            pinned: Indices into ``pipeline.nodes`` of the nodes that cannot leave the parent,
                each with the reason.
            seconds: How long nodes took in an earlier run, by their index.
            needs: How much memory they needed then, in bytes.

        Returns:
            The plan.
        """
        nodes = pipeline.nodes
        index = {node: i for i, node in enumerate(nodes)}
        depends = pipeline.node_dependencies
        parents = [frozenset(index[parent] for parent in depends[node]) for node in nodes]
        children = _invert(parents)
        known = dict(seconds or {})
        ranks = _ranks(children, known)
        steps = tuple(
            Step(
                index=i,
                name=n.name,
                inputs=tuple(n.inputs),
                outputs=tuple(n.outputs),
                parents=parents[i],
                children=children[i],
                rank=ranks[i],
                function=id(n.func),
            )
            for i, n in enumerate(nodes)
        )
        return cls(
            steps=steps,
            load_counts=Counter(name for step in steps for name in step.inputs),
            kept_inputs=frozenset(pipeline.inputs()),
            kept_outputs=frozenset(pipeline.outputs()),
            in_memory=frozenset(in_memory),
            pinned=dict(pinned),
            seconds=known,
            needs=dict(needs or {}),
        )

    def workers_needed(self, limit: int) -> int:
        """How many workers the plan can use at once.

        Args:
            limit: The number of workers that there may be at most.

        Returns:
            A number between 0 (all steps are pinned to the parent) and ``limit``.
        """
        free = [i for i in range(len(self.steps)) if i not in self.pinned]
        return width([step.parents for step in self.steps], free, limit)


def _invert(parents: Sequence[frozenset[int]]) -> list[tuple[int, ...]]:
    children: list[list[int]] = [[] for _ in parents]
    for child, above in enumerate(parents):
        for parent in above:
            children[parent].append(child)
    return [tuple(below) for below in children]


def _ranks(children: Sequence[tuple[int, ...]], seconds: Mapping[int, float]) -> list[float]:
    # A step of which nothing is known counts as one like the others.
    usual = sum(seconds.values()) / len(seconds) if seconds else 1.0
    ranks = [0.0] * len(children)
    for i in reversed(range(len(children))):
        below = max((ranks[child] for child in children[i]), default=0.0)
        ranks[i] = seconds.get(i, usual) + below
    return ranks
