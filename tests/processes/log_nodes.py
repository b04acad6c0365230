"""Nodes that log from threads and forked processes, and what loggers are not always given."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

logger = logging.getLogger(__name__)


class Twice(logging.Filter):
    """Shows how often it has seen a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = f"seen {record.msg}" if isinstance(record.msg, str) else record.msg
        return True


filtered = logging.getLogger(f"{__name__}.filtered")
filtered.addFilter(Twice())


def log_all_kinds(_: Any) -> int:
    logger.info({"event": "trained", "scores": {1: 0.5}})
    logger.info("counts: %s", {1: 5}, extra={"lock": threading.Lock()})
    filtered.info("once")
    return 1


def fork_while_a_thread_logs(count: int) -> list[int]:
    """Most of the time the thread is in the middle of sending: the pipe is full."""
    started, stop = threading.Event(), threading.Event()

    def log() -> None:
        while not stop.is_set():
            logger.info("thread %s", "x" * 200_000)
            started.set()

    thread = threading.Thread(target=log)
    thread.start()
    started.wait()
    try:
        return [_fork(number) for number in range(count)]
    finally:
        stop.set()
        thread.join()


def _fork(number: int) -> int:
    child = os.fork()
    if not child:
        try:
            logger.info("child %d", number)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]
