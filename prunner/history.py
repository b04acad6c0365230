"""How long nodes took in earlier runs of this process, and how much memory they needed.

A later run of the same nodes can then start the longest path first, put short ones into
batches, and hold back what there is no memory for. Nothing is written to disk.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kedro.pipeline.node import Node

_Key = tuple[str, str, str]

_MOST_NODES = 100_000  # of which something is kept
_FADING = 0.9  # of the most memory that a node needed, for each further run that needed less


class Known(NamedTuple):
    """What is known of the nodes of a pipeline, by their index.

    Attributes:
        seconds: How long they took when they ran last.
        needs: How much memory they needed, in bytes.
    """

    seconds: dict[int, float]
    needs: dict[int, int]


_lock = threading.Lock()  # several runs may end at the same time
_seconds: dict[_Key, float] = {}
_needs: dict[_Key, int] = {}


def recall(nodes: Sequence[Node]) -> Known:
    """What is known of nodes.

    Args:
        nodes: The nodes of a pipeline.
    """
    with _lock:
        if not _seconds and not _needs:
            return Known({}, {})
        keys = [_key(node) for node in nodes]
        return Known(
            {index: _seconds[key] for index, key in enumerate(keys) if key in _seconds},
            {index: _needs[key] for index, key in enumerate(keys) if key in _needs},
        )


def note(nodes: Sequence[Node], seconds: Mapping[int, float], needs: Mapping[int, int]) -> None:
    """Remember what was seen of nodes.

    Args:
        nodes: The nodes of a pipeline.
        seconds: How long each took that ran to its end, by its index.
        needs: How much memory each needed, in bytes, as far as that was seen.
    """
    with _lock:
        for index, duration in seconds.items():
            _put(_seconds, _key(nodes[index]), duration)
        for index, need in needs.items():
            key = _key(nodes[index])
            _put(_needs, key, max(need, int(_FADING * _needs.get(key, 0))))


def forget() -> None:
    """Forget all of it."""
    with _lock:
        _seconds.clear()
        _needs.clear()


def _put(known: dict[_Key, float] | dict[_Key, int], key: _Key, value: float) -> None:
    known.pop(key, None)  # so that it is the last again
    known[key] = value  # type: ignore[assignment]
    if len(known) > _MOST_NODES:
        del known[next(iter(known))]


def _key(node: Node) -> _Key:
    func = node.func
    return node.name, getattr(func, "__module__", ""), getattr(func, "__qualname__", "")
