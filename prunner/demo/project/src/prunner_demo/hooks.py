"""A hook with state, as many projects have one."""

from __future__ import annotations

import logging

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline.node import Node

logger = logging.getLogger(__name__)


class NodeCounter:
    """Remembers each node that ran, and reports when the pipeline ends."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Remember the node."""
        self.seen.append(node.name)

    @hook_impl
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Log the count, and save the names in an order that no runner decides."""
        logger.info("Hook NodeCounter saw %d nodes run.", len(self.seen))
        catalog.save("nodes_seen_by_hook", sorted(self.seen))
