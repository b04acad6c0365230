"""In a worker of a cluster: log records of nodes, on their way to the client.

The process is not prunner's own: Dask and others log there, too. So handlers are not thrown out, as
``bridge.logs`` does it, but take nothing of what the threads of nodes log; and only that is sent.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

from prunner.bridge.logs import NODE_ATTRIBUTE, LogLevels
from prunner.bridge.records import record_attributes

if TYPE_CHECKING:
    from prunner.cluster.outbox import Outbox

# What the client lets through of these is no matter of the workers'.
_OTHERS = ("asyncio", "bokeh", "dask", "distributed", "tornado")


class NodeLogs(logging.Handler):
    """Sends what nodes log to the client of their run; one for the process."""

    def __init__(self) -> None:
        super().__init__()
        self._nodes: dict[int, tuple[str, LogLevels, Outbox]] = {}  # by thread
        self._modules = 0

    def is_of_node(self, thread: int) -> bool:
        """True for a thread that runs a node."""
        return thread in self._nodes

    def begin(self, node: str, levels: LogLevels, outbox: Outbox) -> None:
        """This thread runs a node from now on."""
        if self not in logging.root.handlers:  # configurations may have thrown it out
            logging.root.addHandler(self)
        if len(sys.modules) != self._modules:  # each may have brought handlers of its own
            self._modules = len(sys.modules)
            _keep_from_others(self)
        self._nodes[threading.get_ident()] = node, levels, outbox

    def end(self) -> None:
        """This thread runs no node any more."""
        self._nodes.pop(threading.get_ident(), None)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, if a node has written it."""
        thread = threading.get_ident()
        if thread not in self._nodes:
            # A node may load, save and compute in threads of its own.
            if len(self._nodes) != 1 or record.name.startswith(_OTHERS):
                return
            thread = next(iter(self._nodes), thread)
        found = self._nodes.get(thread)
        if found is None:
            return
        node, levels, outbox = found
        if record.levelno <= levels.disabled or record.levelno < levels.lowest_handled(record.name):
            return
        try:
            attributes = record_attributes(record)
            attributes[NODE_ATTRIBUTE] = node
            outbox.add(attributes, thread)
        except Exception:
            self.handleError(record)


class _NotOfNodes(logging.Filter):
    """Keeps from a handler what nodes log: it has its place in the client."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not node_logs.is_of_node(threading.get_ident())


def _keep_from_others(own: logging.Handler) -> None:
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        for handler in getattr(logger, "handlers", ()):
            if handler is not own and _not_of_nodes not in handler.filters:
                handler.addFilter(_not_of_nodes)


def levels_for_workers(levels: LogLevels) -> LogLevels:
    """What of the client's levels workers are to have."""
    own = {name: level for name, level in levels.levels.items() if not name.startswith(_OTHERS)}
    return levels._replace(levels=own, switched_off=(), disabled=levels.disabled)


def apply(levels: LogLevels) -> None:
    """Let the loggers of this process let through what the client wants."""
    for name, level in levels.levels.items():
        logger = logging.getLogger(name)
        if logger.level != level:  # else each logger would forget what it lets through
            logger.setLevel(level)
    if levels.warnings:
        logging.captureWarnings(True)


_not_of_nodes = _NotOfNodes()
node_logs = NodeLogs()  # this process's
