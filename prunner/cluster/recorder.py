"""In a worker of a cluster: log records of nodes, on their way to the client.

The process is not prunner's own: Dask and others log there, too. So nothing is undone, as
``bridge.logs`` does it, and only what threads of nodes log is sent.
"""

from __future__ import annotations

import logging
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

    def begin(self, node: str, levels: LogLevels, outbox: Outbox) -> None:
        """This thread runs a node from now on."""
        if self not in logging.root.handlers:  # configurations may have thrown it out
            logging.root.addHandler(self)
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


def levels_for_workers(levels: LogLevels) -> LogLevels:
    """What of the client's levels workers are to have."""
    own = {name: level for name, level in levels.levels.items() if not name.startswith(_OTHERS)}
    return levels._replace(levels=own, switched_off=(), disabled=levels.disabled)


def apply(levels: LogLevels) -> None:
    """Let the loggers of this process let through what the client wants."""
    for name, level in levels.levels.items():
        logging.getLogger(name).setLevel(level)
    if levels.warnings:
        logging.captureWarnings(True)


node_logs = NodeLogs()  # this process's
