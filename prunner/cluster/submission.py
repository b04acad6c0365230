"""Hands a batch of tasks to Dask."""

from __future__ import annotations

from typing import Any

import dask
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from distributed import Client, Future

from prunner.cluster.graph import Batch, Key


def submit(client: Client, batch: Batch) -> dict[Key, Future]:
    """Let the cluster run tasks.

    Args:
        client: Dask's.
        batch: The tasks.

    Returns:
        The futures of those keys that somebody but the tasks asks for.
    """
    annotations: dict[str, Any] = {"priority": batch.priorities.get}
    if batch.resources:
        annotations["resources"] = batch.resources.get
    layer = MaterializedLayer(batch.tasks, annotations=annotations)
    graph = HighLevelGraph({"prunner": layer}, {"prunner": set()})
    # A run is one graph however large it is, and the inputs of nodes are a part of it.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
        keys = list(batch.wanted)
        return dict(zip(keys, client.get(graph, keys, sync=False), strict=True))
