"""Log records of workers, on their way to the parent's own handlers.

A worker has no handler but the relay: a file that several processes write to, or rotate,
loses lines. Records that no handler of the parent would take never leave the worker.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BARE_CONFIG = Path(__file__).with_name("worker_logging.yml")
_KEDRO_CONFIG_VARIABLE = "KEDRO_LOGGING_CONFIG"
_environment_lock = threading.RLock()
NODE_ATTRIBUTE = "prunner_node"  # of a record: the name of the node that wrote it
WORKER_ATTRIBUTE = "prunner_worker"  # of a record: the number of the worker, from 0
_PLAIN = (str, int, float, bool, type(None))

Send = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class LogLevels:
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

    def install(self) -> None:
        """Let everything that is logged in this process be sent, and nothing else."""
        for logger in _loggers().values():
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
            logger.propagate = True
        self._levels.apply()
        logging.root.addHandler(self._handler)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Within this context modules are imported, as they have been in the parent.

        What they do to logging has been done there: handlers that they add would write each
        record twice.
        """
        modules = len(sys.modules)
        before = {name: list(logger.handlers) for name, logger in _loggers().items()}
        try:
            yield
        finally:
            if len(sys.modules) != modules:
                self._undo(before)

    @contextlib.contextmanager
    def of_node(self, name: str) -> Iterator[None]:
        """Within this context, what is logged is a node's."""
        self._handler.node = name
        try:
            yield
        finally:
            self._handler.node = None

    def _undo(self, before: Mapping[str, list[logging.Handler]]) -> None:
        for name, logger in _loggers().items():
            for handler in list(logger.handlers):
                if handler not in before.get(name, ()):
                    logger.removeHandler(handler)
            logger.propagate = True
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
        self._send = send
        self._lowest = functools.lru_cache(maxsize=None)(levels.lowest_handled)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < self._lowest(record.name):
            return
        try:
            self._send({**record_attributes(record), NODE_ATTRIBUTE: self.node})
        except Exception:
            self.handleError(record)


def record_attributes(record: logging.LogRecord) -> dict[str, Any]:
    """The attributes of a record, as plain data.

    Arguments stay apart from the message where they are plain: Kedro's rich handler colours
    them one by one.
    """
    record = copy.copy(record)
    args = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    if not all(type(arg) in _PLAIN for arg in args):
        record.msg, record.args = record.getMessage(), None
    record.msg = str(record.msg)
    if record.exc_info:
        record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
    return {name: _plain(value) for name, value in record.__dict__.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if type(value) in _PLAIN else repr(value)


def handle_here(attributes: Mapping[str, Any], worker: int) -> None:
    """In the parent: give a worker's record to the logger that it was written to."""
    record = logging.makeLogRecord({**attributes, WORKER_ATTRIBUTE: worker})
    logging.getLogger(record.name).handle(record)


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
