"""Log records of workers, on their way to the parent's own handlers.

A worker has no handler but the relay: a file that several processes write to, or rotate,
loses lines. Records that no handler of the parent would take never leave the worker.

Covers: levels, what is undone in a worker, the relay and its other end.
Does not cover: how a record travels (``records``).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prunner.bridge.records import made_record, plain_record, record_attributes

_BARE_CONFIG = Path(__file__).with_name("worker_logging.yml")
_KEDRO_CONFIG_VARIABLE = "KEDRO_LOGGING_CONFIG"
_environment_lock = threading.RLock()
NODE_ATTRIBUTE = "prunner_node"  # of a record: the name of the node that wrote it
WORKER_ATTRIBUTE = "prunner_worker"  # of a record: the number of the worker, from 0

Send = Callable[[Mapping[str, Any]], object]


class LogLevels(NamedTuple):
    """What the parent lets through.

    Attributes:
        levels: Level of each logger that has one; the root logger's name is empty.
        handled: For each logger where a record may find other handlers than at the logger above
            it: the lowest level that one of all these handlers takes.
        switched_off: Names of loggers that are disabled one by one.
        disabled: The level up to which ``logging.disable`` silences everything.
        warnings: Whether the ``warnings`` module writes to the log.
    """

    levels: Mapping[str, int]
    handled: Mapping[str, int]
    switched_off: tuple[str, ...]
    disabled: int
    warnings: bool

    @classmethod
    def capture(cls) -> LogLevels:
        """The levels of this process."""
        loggers = _loggers()
        return cls(
            levels={name: each.level for name, each in loggers.items() if each.level},
            handled={
                name: _lowest_level(each)
                for name, each in loggers.items()
                if each.handlers or not each.propagate or not name
            },
            switched_off=tuple(name for name, each in loggers.items() if each.disabled),
            disabled=logging.root.manager.disable,
            warnings=getattr(logging, "_warnings_showwarning", None) is not None,
        )

    def apply(self) -> None:
        """Let the loggers of this process have these levels."""
        for name, level in self.levels.items():
            logger = logging.getLogger(name)
            if logger.level != level:
                logger.setLevel(level)
        for name in self.switched_off:
            logging.getLogger(name).disabled = True
        logging.disable(self.disabled)
        logging.captureWarnings(self.warnings)

    def undo(self) -> None:
        """Take back what ``apply`` has done to single loggers."""
        for name in self.levels:
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name in self.switched_off:
            logging.getLogger(name).disabled = False

    def lowest_handled(self, name: str) -> int:
        """The level below which no handler of the parent takes a record of this logger."""
        while name not in self.handled:
            name = name.rpartition(".")[0]
        return self.handled[name]


class LogRelay:
    """In a worker: sends what is logged, and is the only handler.

    Args:
        levels: The parent's.
        send: Takes the attributes of a record.
    """

    def __init__(self, levels: LogLevels, send: Send) -> None:
        self._levels = levels
        self._handler = _RelayHandler(levels, send)

    def set_levels(self, levels: LogLevels) -> None:
        """Let the loggers of this process have other levels than before."""
        self._levels.undo()
        self._levels = levels
        self._handler.set_levels(levels)
        levels.apply()

    def install(self) -> None:
        """Let everything that is logged in this process be sent, and nothing else."""
        self._undo({})

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Within this context modules are imported, as they have been in the parent.

        What they do to logging has been done there: handlers that they add would write each
        record twice; filters and record factories that change it would do so twice.
        """
        modules = len(sys.modules)
        before = {name: (*logger.handlers, *logger.filters) for name, logger in _loggers().items()}
        factory = logging.getLogRecordFactory()
        try:
            yield
        finally:
            if len(sys.modules) != modules:
                self._undo(before, factory)

    @property
    def node(self) -> str | None:
        """Name of the node whose records these are."""
        return self._handler.node

    @node.setter
    def node(self, name: str | None) -> None:
        self._handler.node = name

    def _undo(self, before: Mapping[str, Sequence[Any]], factory: Any = logging.LogRecord) -> None:
        for name, logger in _loggers().items():
            kept = {id(each) for each in before.get(name, ())}
            for handler in list(logger.handlers):
                if id(handler) not in kept:
                    logger.removeHandler(handler)
            for each in list(logger.filters):
                if id(each) not in kept:
                    logger.removeFilter(each)
            logger.propagate = True
        logging.setLogRecordFactory(factory)
        if self._handler not in logging.root.handlers:
            logging.root.addHandler(self._handler)
        self._levels.apply()


class NodeFilter(logging.Filter):
    """Lets a format use ``%(prunner_node)s`` and ``%(prunner_worker)s`` for every record.

    Records of workers have both attributes; this gives them to those of the main process too,
    as ``-``. In ``conf/logging.yml``, for the handlers whose formatters use them::

        filters:
          node:
            (): prunner.NodeFilter
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete a record, and let it through."""
        for name in (NODE_ATTRIBUTE, WORKER_ATTRIBUTE):
            record.__dict__.setdefault(name, "-")
        return True


class _RelayHandler(logging.Handler):
    def __init__(self, levels: LogLevels, send: Send) -> None:
        super().__init__()
        self.node: str | None = None
        self._process = os.getpid()
        self._send = send
        self.set_levels(levels)

    def set_levels(self, levels: LogLevels) -> None:
        self._lowest = functools.lru_cache(maxsize=None)(levels.lowest_handled)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < self._lowest(record.name):
            return
        try:
            if os.getpid() != self._process:
                # A process that the node has forked, and that has no link. Not sys.stderr: a
                # thread that the fork has not got may hold its lock.
                os.write(2, f"{self.format(record)}\n".encode(errors="backslashreplace"))
                return
            attributes = record_attributes(record)
            attributes[NODE_ATTRIBUTE] = self.node
            self._send(attributes)
        except Exception:
            self.handleError(record)


def handle_here(attributes: Mapping[str, Any], worker: int) -> None:
    """In the parent: give a worker's record to the logger that it was written to.

    What a handler, a filter, a formatter or a record factory raises would have come out of the
    node's call of the logger. The node is past that: it is reported as ``logging`` reports the
    errors of handlers, and the run goes on.
    """
    attributes = {**attributes, WORKER_ATTRIBUTE: worker}
    try:
        record = made_record(attributes)
    except Exception:
        record = plain_record(attributes)
        logging.Handler().handleError(record)
    try:
        logging.getLogger(record.name).handle(record)
    except Exception:
        logging.Handler().handleError(record)


@contextlib.contextmanager
def bare_kedro_logging() -> Iterator[None]:
    """Let Kedro configure no handlers when it is imported for the first time.

    ``kedro.framework.project`` applies the project's logging configuration at its import: in a
    worker that would open the project's log files once more, and empty those with mode "w".
    """
    with _environment_lock:
        former = os.environ.get(_KEDRO_CONFIG_VARIABLE)
        os.environ[_KEDRO_CONFIG_VARIABLE] = str(_BARE_CONFIG)
        try:
            yield
        finally:
            if former is None:
                del os.environ[_KEDRO_CONFIG_VARIABLE]
            else:
                os.environ[_KEDRO_CONFIG_VARIABLE] = former


def _loggers() -> dict[str, logging.Logger]:
    known = list(logging.root.manager.loggerDict.items())
    loggers = {name: each for name, each in known if isinstance(each, logging.Logger)}
    return {"": logging.root, **loggers}


def _lowest_level(logger: logging.Logger) -> int:
    levels = []
    above: logging.Logger | None = logger
    while above is not None:
        levels += [handler.level for handler in above.handlers]
        above = above.parent if above.propagate else None
    if not levels and logging.lastResort is not None:
        return logging.lastResort.level
    return min(levels, default=logging.CRITICAL + 1)
