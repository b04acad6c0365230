"""How long nodes took in earlier runs of this process, and how much memory they needed.

A later run of the same nodes can then start the longest path first, put short ones into
batches, and hold back what there is no memory for. Nothing is written to disk: that is done by the
session store (``sessions``), where one is set up.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from prunner.fingerprint import digest_of

if TYPE_CHECKING:
    from kedro.pipeline.node import Node

NodeKey = tuple[str, str]  # name of a node, and digest of its function

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
_seconds: dict[NodeKey, float] = {}
_needs: dict[NodeKey, int] = {}


def keys_of(nodes: Sequence[Node]) -> list[NodeKey]:
    """What nodes are known by: a node that calls another function is another one.

    Args:
        nodes: The nodes of a pipeline.
    """
    functions = {id(node.func): node.func for node in nodes}
    digests = {number: digest_of(function) for number, function in functions.items()}
    return [(node.name, digests[id(node.func)]) for node in nodes]


def recall(keys: Sequence[NodeKey]) -> Known:
    """What is known of nodes.

    Args:
        keys: Of the nodes of a pipeline.
    """
    with _lock:
        return Known(
            {index: _seconds[key] for index, key in enumerate(keys) if key in _seconds},
            {index: _needs[key] for index, key in enumerate(keys) if key in _needs},
        )


def note(keys: Sequence[NodeKey], seconds: Mapping[int, float], needs: Mapping[int, int]) -> None:
    """Remember what was seen of nodes.

    Args:
        keys: Of the nodes of a pipeline.
        seconds: How long each took that ran to its end, by its index.
        needs: How much memory each needed, in bytes, as far as that was seen.
    """
    with _lock:
        for index, duration in seconds.items():
            _put(_seconds, keys[index], duration)
        for index, need in needs.items():
            key = keys[index]
            _put(_needs, key, max(need, int(_FADING * _needs.get(key, 0))))


def forget() -> None:
    """Forget all of it."""
    with _lock:
        _seconds.clear()
        _needs.clear()


def _put(known: dict[NodeKey, float] | dict[NodeKey, int], key: NodeKey, value: float) -> None:
    known.pop(key, None)  # so that it is the last again
    known[key] = value  # type: ignore[assignment]
    if len(known) > _MOST_NODES:
        del known[next(iter(known))]
