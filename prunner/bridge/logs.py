"""Log records of workers, on their way to the parent's own handlers.

A worker has no handler but the relay: a file that several processes write to, or rotate,
loses lines. Records below the level that the parent would apply never leave the worker.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BARE_CONFIG = Path(__file__).with_name("worker_logging.yml")
_KEDRO_CONFIG_VARIABLE = "KEDRO_LOGGING_CONFIG"
_environment_lock = threading.RLock()
_PLAIN = (str, int, float, bool, type(None))

Send = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class LogLevels:
    """The levels that the parent applies.

    Attributes:
        levels: Level of each logger that has one; the root logger's name is empty.
        disabled: The level up to which ``logging.disable`` silences everything.
        warnings: Whether the ``warnings`` module writes to the log.
    """

    levels: Mapping[str, int]
    disabled: int
    warnings: bool

    @classmethod
    def capture(cls) -> LogLevels:
        """The levels of this process."""
        levels = {"": logging.root.level}
        for name, logger in list(logging.root.manager.loggerDict.items()):
            if isinstance(logger, logging.Logger) and logger.level:
                levels[name] = logger.level
        captured = getattr(logging, "_warnings_showwarning", None) is not None
        return cls(levels, logging.root.manager.disable, captured)

    def install(self, send: Send) -> None:
        """Let everything that is logged in this process be sent, and nothing else.

        Args:
            send: Takes the attributes of a record.
        """
        _remove_all_handlers()
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)
        logging.disable(self.disabled)
        logging.captureWarnings(self.warnings)
        logging.root.addHandler(_RelayHandler(send))


class _RelayHandler(logging.Handler):
    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(record_attributes(record))
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


def handle_here(attributes: Mapping[str, Any]) -> None:
    """In the parent: give a worker's record to the logger that it was written to."""
    record = logging.makeLogRecord(dict(attributes))
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


def _remove_all_handlers() -> None:
    loggers = [x for x in logging.root.manager.loggerDict.values() if isinstance(x, logging.Logger)]
    for logger in [logging.root, *loggers]:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True
