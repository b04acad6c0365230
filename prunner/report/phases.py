"""What a node was doing when: loading, running its function, saving, and what is left. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prunner.sessions.records import NodeRecord

LOAD, RUN, SAVE, OTHER = "load", "run", "save", "other"
PHASES = (LOAD, RUN, SAVE, OTHER)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the time of a node.

    Attributes:
        phase: ``load``, ``run`` or ``save``.
        label: The dataset, or the function.
        began: When, in seconds since the epoch.
        seconds: How long.
        size: Bytes of data, where there is any and it is known.
    """

    phase: str
    label: str
    began: float
    seconds: float
    size: int | None = None


def shares(node: NodeRecord) -> dict[str, float]:
    """How many seconds of a node's last try went into each phase; all zero if it did not run.

    What is neither loading nor running nor saving is ``other``: hooks, messages, and all that a
    function did which did not come to its end.
    """
    whole = max(node.seconds or 0.0, 0.0)
    parts = {LOAD: node.load_seconds, RUN: node.run_seconds or 0.0, SAVE: node.save_seconds}
    known = sum(parts.values())
    if known > whole:  # clocks are not perfect
        parts = {phase: seconds * whole / known for phase, seconds in parts.items()}
    return {**parts, OTHER: max(whole - known, 0.0)}


def segments(node: NodeRecord) -> tuple[Segment, ...]:
    """The phases of a node's last try in order, none of which overlaps another one.

    When its function began is not on record: it is taken to have begun after the last load. What
    a generator saved in chunks is shown in one piece after the function, as on record.
    """
    if node.started is None or node.ended is None:
        return ()
    return tuple(_apart(_measured(node), node.started, node.ended))


def _measured(node: NodeRecord) -> list[Segment]:
    parts = [Segment(LOAD, one.dataset, one.began, one.seconds, one.size) for one in node.loads]
    if node.run_seconds is not None:
        parts.append(Segment(RUN, node.function or node.name, 0.0, node.run_seconds))
    parts += [Segment(SAVE, one.dataset, one.began, one.seconds, one.size) for one in node.saves]
    return parts


def _apart(parts: Sequence[Segment], start: float, end: float) -> Iterator[Segment]:
    """Each part where it was measured, moved as little as is needed to fit in."""
    left = sum(part.seconds for part in parts)
    scale = min(1.0, max(end - start, 0.0) / left) if left > 0 else 1.0
    left, now = left * scale, start
    for part in parts:
        began = max(now, min(part.began, end - left))
        seconds = min(part.seconds * scale, end - began)
        yield Segment(part.phase, part.label, began, seconds, part.size)
        left, now = left - part.seconds * scale, began + seconds
