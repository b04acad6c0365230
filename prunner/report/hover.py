"""What is said of a node when the mouse is over it. Pure.

It is text, no template, in which ``%{x}`` would mean something; and it is escaped, since Plotly
reads some tags in it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from prunner.report.figures import duration, shorten, size, worker_name
from prunner.report.markup import visible
from prunner.report.phases import PHASES, shares
from prunner.sessions.records import NodeRecord, Outcome


def hover_text(node: NodeRecord) -> str:
    """The name of a node and what is known of it, in lines, escaped for Plotly."""
    lines = [f"<b>{plotly_text(node.name)}</b>", *map(plotly_text, _facts(node))]
    return "<br>".join(lines)


def plotly_text(text: str) -> str:
    """Text that means itself in Plotly, which reads some tags; not too long."""
    # It knows few named entities, so quotes stay as they are; they end nothing in text.
    return html.escape(visible(shorten(text, 90)), quote=False)


def _facts(node: NodeRecord) -> Iterator[str]:
    if node.seconds is not None:
        parts = ((phase, shares(node)[phase]) for phase in PHASES)
        yield f"{duration(node.seconds)}: " + _joined(f"{name} {duration(s)}" for name, s in parts)
    if node.host and node.worker is not None:
        yield worker_name(node.worker, {node.worker: node.host})
    if node.peak_memory is not None:
        yield f"memory {size(node.peak_memory)}"
    if node.outcome is not Outcome.COMPLETED:
        yield str(node.outcome)
    if node.pinned:
        yield f"in the main process: {node.pinned}"
    yield from (f"try {number}: {one.error}" for number, one in enumerate(node.tries[:3], 1))
    if node.error:
        yield node.error


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)
