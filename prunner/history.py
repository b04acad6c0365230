"""How long nodes took in earlier runs of this process.

A later run of the same nodes can then start the longest path first, and put short ones into
batches. Nothing is written to disk.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedro.pipeline.node import Node

_Key = tuple[str, str, str]

_MOST_NODES = 100_000  # whose durations are kept

_lock = threading.Lock()  # several runs may end at the same time
_seconds: dict[_Key, float] = {}


def known_durations(nodes: Sequence[Node]) -> dict[int, float]:
    """How long nodes took when they ran last.

    Args:
        nodes: The nodes of a pipeline.

    Returns:
        Seconds, by the index of the node, for those that have run.
    """
    with _lock:
        if not _seconds:
            return {}
        found = ((index, _seconds.get(_key(node))) for index, node in enumerate(nodes))
        return {index: seconds for index, seconds in found if seconds is not None}


def note_durations(nodes: Sequence[Node], seconds: Mapping[int, float]) -> None:
    """Remember how long nodes took.

    Args:
        nodes: The nodes of a pipeline.
        seconds: How long each took that ran to its end, by its index.
    """
    with _lock:
        for index, duration in seconds.items():
            key = _key(nodes[index])
            _seconds.pop(key, None)  # so that it is the last again
            _seconds[key] = duration
        while len(_seconds) > _MOST_NODES:
            del _seconds[next(iter(_seconds))]


def forget_durations() -> None:
    """Forget all of them."""
    with _lock:
        _seconds.clear()


def _key(node: Node) -> _Key:
    func = node.func
    return node.name, getattr(func, "__module__", ""), getattr(func, "__qualname__", "")
